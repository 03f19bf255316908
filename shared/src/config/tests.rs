//! Loading as a whole: layers, problems, rules, and the documentation that follows from the registry.

use super::*;
use std::time::Duration;

fn load<const N: usize>(flags: [&str; N]) -> Result<Config, Vec<String>> {
    load_from(&Source::flags(flags))
}

fn load_from(source: &Source) -> Result<Config, Vec<String>> {
    let lines = |error: ConfigError| error.problems().iter().map(ToString::to_string).collect();
    Config::load(source).map(|loaded| loaded.config).map_err(lines)
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn nothing_said_is_a_valid_development_installation() {
    let config = load([]).unwrap();
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.http, HttpConfig::default());
    assert_eq!(config.database_url().expose(), "sqlite:./data/pitchey.db");
    assert!(config.gateway.node.starts_with("gw-") && config.gateway.node.ends_with("-8001"));
    assert!(!config.cookie_secure());
}

#[test]
fn a_node_is_named_after_what_it_does() {
    let shared = || Source::flags(["--redis-url=redis://127.0.0.1:1", "--database-url=postgres://127.0.0.1/x"]);
    let name = |source: &Source| load_from(source).unwrap().gateway.node;
    assert!(name(&shared()).starts_with("api-"), "an api beside gateways");
    assert!(name(&shared().with_env("GATEWAY", "hosted")).starts_with("gw-"));
    assert!(name(&shared().of_gateway()).starts_with("gw-"));
    assert_eq!(name(&shared().with_env("NODE_NAME", "left")), "left");
}

#[test]
fn a_certificate_makes_links_https_and_the_cookie_secure_and_needs_its_key() {
    let config = load(["--tls-cert=/c.pem", "--tls-key=/k.pem"]).unwrap();
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.http.base_url(), "https://127.0.0.1:8001");
    assert!(config.cookie_secure() && config.http.allows_origin("https://127.0.0.1:8001"));
    let problems = load(["--tls-cert=/c.pem"]).unwrap_err();
    assert_eq!(problems, ["TLS_KEY=\"\" (default): TLS_CERT is set: its private key is needed too"]);
    let problems = load(["--tls-key=/k.pem"]).unwrap_err();
    assert_eq!(problems, ["TLS_CERT=\"\" (default): TLS_KEY is set: its certificate is needed too"]);
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let (_folder, path) = file("port = 1\nmax_body = '2KiB'\ndb_pool_size = 3\npublic_rooms = ['a', 'b']\n");
    let source = Source::flags(["--port=4", "--config-file", &path]).with_env("PORT", "2").with_env("MAX_BODY", "3KiB");
    let config = load_from(&source).unwrap();
    assert_eq!((config.http.port, config.http.max_body_bytes, config.database.pool.max_size), (4, 3_072, 3));
    assert_eq!(config.gateway.public_rooms, ["a", "b"]);
}

#[test]
fn every_problem_is_reported_at_once_with_its_setting_and_origin() {
    let (_folder, path) = file("prot = 9000\nws_heartbeat = 30\n[table]\nport = 1\n");
    let source = Source::flags(["--portt", "--db-pool-size", "1", "--host"])
        .with_env("PORT", "abc")
        .with_env("CONFIG_FILE", &path);
    let problems = load_from(&source).unwrap_err();
    let expected = [
        "--portt (flag): no such setting; did you mean --port?".to_owned(),
        "--host (flag): a value must follow".to_owned(),
        format!("prot (file {path}): no such setting; did you mean port?"),
        format!("table (file {path}): no such setting"),
        format!(
            "WS_HEARTBEAT=\"30\" (file {path}): expected a duration with its unit, such as 30s, 5m or 7d, and at least 10ms"
        ),
        "PORT=\"abc\" (environment): expected a number 0–65535".to_owned(),
        "DB_POOL_SIZE=\"1\" (flag --db-pool-size): expected a number 2–1000".to_owned(),
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_file_that_is_named_must_exist_and_be_toml_and_its_lines_are_not_quoted() {
    assert!(load(["--config-file", "/nowhere/pitchey.toml"]).unwrap_err()[0].contains("/nowhere/pitchey.toml"));
    let (_folder, path) = file("port = 1\ndatabase_url = 'postgres://u:hidden@h/d' oops\n");
    let problems = load(["--config-file", &path]).unwrap_err();
    assert!(problems[0].contains("line 2") && !problems[0].contains("hidden"), "{problems:?}");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let source = Source::flags([""; 0]).with_env("PORT", "").with_env("DATABASE_URL", "");
    assert_eq!(load_from(&source).unwrap().http.port, 8001);
}

#[test]
fn secrets_may_come_from_a_file_and_are_never_printed() {
    let (_folder, path) = file("postgres://pitchey:hidden@db/pitchey\n");
    let loaded = Config::load(&Source::flags([""; 0]).with_env("DATABASE_URL_FILE", &path)).unwrap();
    assert_eq!(loaded.config.database_url().expose(), "postgres://pitchey:hidden@db/pitchey");
    assert!(!format!("{loaded:?}{}", loaded.render()).contains("hidden"));
    let problems = load(["--database-url", "mysql://root:hidden@db", "--redis-url", "hidden"]).unwrap_err();
    assert!(problems.len() == 2 && problems[0].starts_with("DATABASE_URL=<redacted> (flag --database-url): expected"));
    assert!(!problems.concat().contains("hidden"));
}

#[test]
fn switches_need_no_value_and_an_alias_is_weaker_than_the_name() {
    let source = Source::flags(["--allow-anonymous"]).with_env("RUST_LOG", "warn").with_env("LOG_FILTER", "debug");
    let config = load_from(&source).unwrap();
    assert!(config.gateway.allow_anonymous && config.log.filter == "debug");
    assert!(!load(["--allow-anonymous", "false"]).unwrap().gateway.allow_anonymous);
}

#[test]
fn anything_shared_or_reachable_makes_it_production() {
    for flags in [["--host", "0.0.0.0"], ["--redis-url", "redis://h:6379"], ["--database-url", "postgres://u@h/d"]] {
        assert_eq!(load(flags).unwrap().environment, Environment::Production, "{flags:?}");
    }
    for flags in [["--trusted-proxies", "1"], ["--public-base-url", "https://pitchey.example"]] {
        assert_eq!(load(flags).unwrap().environment, Environment::Production, "a proxy is the public: {flags:?}");
    }
    assert_eq!(load(["--public-base-url", "http://localhost:8001"]).unwrap().environment, Environment::Development);
    assert_eq!(load(["--environment", "production"]).unwrap().environment, Environment::Production);
    assert_eq!(
        load(["--host", "0.0.0.0", "--environment", "development"]).unwrap().environment,
        Environment::Development
    );
}

#[test]
fn a_cookie_that_browsers_would_refuse_or_share_is_refused_at_start() {
    let refused = |flags: &[&str]| {
        let problems = load_from(&Source::flags(flags.iter().copied())).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].split('=').next().unwrap().to_owned()
    };
    let base = "--public-base-url=https://api.pitchey.example";
    assert_eq!(refused(&[base, "--session-cookie-domain=other.example"]), "SESSION_COOKIE_DOMAIN");
    assert_eq!(
        refused(&["--public-base-url=https://x.pages.dev", "--session-cookie-domain=.pages.dev"]),
        "SESSION_COOKIE_DOMAIN"
    );
    assert_eq!(refused(&["--session-cookie-samesite=none"]), "SESSION_COOKIE_SAMESITE");
    assert_eq!(refused(&["--environment=production", "--session-cookie-secure=false"]), "SESSION_COOKIE_SECURE");
    assert_eq!(refused(&["--environment=production", "--public-base-url=http://pitchey.example"]), "PUBLIC_BASE_URL");
    assert_eq!(refused(&["--session-cookie=__Host-session"]), "SESSION_COOKIE");
    let config = load([base, "--session-cookie-domain=.pitchey.example", "--session-cookie-samesite=none"]).unwrap();
    assert!(config.cookie_secure() && config.session.domain.as_deref() == Some("pitchey.example"));
}

#[test]
fn rules_between_settings_name_the_one_to_change() {
    for (flags, setting) in [
        (["--ws-heartbeat=80s", "--port=1"], "WS_DEAD_AFTER"),
        (["--session-ttl=1h", "--port=1"], "SESSION_UPDATE_AGE"),
        (["--session-absolute-max=2d", "--port=1"], "SESSION_TTL"),
        (["--ws-outbox-bytes=32KiB", "--port=1"], "WS_OUTBOX_BYTES"),
        (["--ws-frame-burst=1", "--port=1"], "WS_FRAME_BURST"),
        (["--db-pool-timeout=10s", "--port=1"], "DB_POOL_TIMEOUT"),
        (["--admin-addr=0.0.0.0:8002", "--port=1"], "ADMIN_ADDR"),
        (["--admin-addr=127.0.0.1:9", "--port=9"], "ADMIN_ADDR"),
        (["--gateway=separate", "--port=1"], "GATEWAY"),
        (["--echo", "--environment=production"], "ECHO"),
    ] {
        let problems = load(flags).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with(setting), "{flags:?}: {problems:?}");
    }
}

#[test]
fn a_pooler_must_stand_before_a_database_that_can_have_one() {
    let refused = |flags: &[&str]| {
        let problems = load_from(&Source::flags(flags.iter().copied())).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].split('=').next().unwrap().to_owned()
    };
    let base = "--public-base-url=https://api.pitchey.example";
    let neon = "--database-url=postgres://u:p@ep-cool-sun-123-pooler.eu-central-1.aws.neon.tech/pitchey";
    assert_eq!(refused(&["--db-pooler=legacy"]), "DB_POOLER");
    assert_eq!(refused(&["--database-direct-url=postgres://h/d"]), "DATABASE_DIRECT_URL");
    assert_eq!(refused(&[base, neon]), "DB_POOLER");
    let config = load([base, neon, "--db-pooler=tracked", "--database-direct-url=postgres://h/d"]).unwrap();
    assert_eq!((config.database.pooler, config.database.direct_url.is_some()), (Pooler::Tracked, true));
}

#[test]
fn an_api_that_has_company_takes_fewer_connections_unless_it_is_told_how_many() {
    let size = |flags: [&str; 2]| load(flags).unwrap().database.pool.max_size;
    assert_eq!(size(["--port=1", "--host=127.0.0.1"]), 14);
    assert_eq!(size(["--redis-url=redis://h:6379", "--host=127.0.0.1"]), 7);
    assert_eq!(size(["--redis-url=redis://h:6379", "--db-pool-size=14"]), 14);
    let gateway = load(["--redis-url=redis://h:6379"]).unwrap().database.gateway_pool_size;
    assert!(2 * SHARED_POOL_SIZE + 2 * gateway + 5 <= DatabaseConfig::default().connection_budget);
}

#[test]
fn with_a_shared_engine_gateways_are_processes_of_their_own_unless_told_otherwise() {
    let of = |flags: [&str; 2]| {
        let config = load(flags).unwrap();
        (config.gateway.place, config.http.drain_delay)
    };
    let redis = "--redis-url=redis://h:6379";
    assert_eq!(of(["--port=1", "--host=127.0.0.1"]), (Place::Hosted, Duration::ZERO));
    assert_eq!(of([redis, "--port=1"]), (Place::Separate, Duration::from_secs(3)));
    assert_eq!(of([redis, "--gateway=hosted"]), (Place::Hosted, Duration::from_secs(3)));
    assert_eq!(of([redis, "--drain-delay=0"]), (Place::Separate, Duration::ZERO));
}

#[test]
fn printed_settings_are_a_file_that_gives_the_same_configuration() {
    let source = Source::flags(["--port=9000", "--cors-origins=https://a.example.org,https://*.b.example.org"]);
    let first = Config::load(&source.with_env("WS_HEARTBEAT", "20s")).unwrap();
    let printed = first.render();
    assert!(
        printed.lines().any(|line| line.starts_with("port = \"9000\" ") && line.ends_with("# flag --port")),
        "{printed}"
    );
    let (_folder, path) = file(&printed);
    let second = load(["--config-file", &path]).unwrap();
    assert_eq!(second.http, first.config.http);
    assert_eq!(second.gateway, first.config.gateway);
    assert_eq!(second.gateway.heartbeat, Duration::from_secs(20));
}

#[test]
fn settings_are_told_from_subcommands() {
    let split = |line: &str| {
        let (ours, rest) = split_args(line.split(' ').map(str::to_owned));
        (ours.join(" "), rest.join(" "))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(split("--port 9 seed --users 5 --data-dir x"), pair("--port 9 --data-dir x", "seed --users 5"));
    assert_eq!(split("--allow-anonymous seed"), pair("--allow-anonymous", "seed"));
    assert_eq!(split("--prot=9 --help"), pair("--prot=9", "--help"));
    assert_eq!(split("--print-config"), pair("--print-config", ""));
}

#[test]
fn an_unwritable_data_folder_is_named() {
    let error = DataDir("/proc/nowhere".into()).prepare().unwrap_err();
    assert!(error.to_string().starts_with("DATA_DIR=/proc/nowhere: "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    DataDir(folder.path().join("a/b")).prepare().unwrap();
}

#[test]
fn the_readme_lists_exactly_the_settings_there_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, rest) = readme.split_once("<!-- settings -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- /settings -->").unwrap();
    let expected = document::markdown();
    assert!(table == expected, "README.md's table of settings should be:\n{expected}");
}
