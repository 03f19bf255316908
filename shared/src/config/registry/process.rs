//! What concerns a process as a whole.

use crate::config::{
    alert::Alert,
    setting::{Setting, setting},
    value::{EnvironmentName, Filter, Folder, Format, List, Name, Socket, Span},
};

pub(super) fn settings() -> Vec<Setting> {
    vec![
        setting::<EnvironmentName>(
            "environment",
            |c| &mut c.environment,
            "choice",
            "`development` allows demo data, cookies over plain HTTP and error details; `production` none of them",
        )
        .computed("`development` with memory engine, SQLite, a loopback `HOST` and neither proxy nor public base URL, else `production`"),
        setting::<Folder>(
            "data_dir",
            |c| &mut c.data_dir,
            "path",
            "folder of the SQLite file, development mails and admin tokens; created when missing",
        ),
        setting::<Format>(
            "log_format",
            |c| &mut c.log.format,
            "choice",
            "`pretty` for people, `json` for one JSON object a line",
        ),
        setting::<Filter>(
            "log_filter",
            |c| &mut c.log.filter,
            "filter",
            "which log lines appear, such as `info,pitchey_gateway=debug`; `RUST_LOG` is understood too",
        )
        .alias("RUST_LOG"),
        setting::<Socket>(
            "admin_addr",
            |c| &mut c.admin.addr,
            "address",
            "the operators' listener; loopback only, guarded by `$DATA_DIR/admin-<name>.token`; port 0 takes a free one",
        ),
        setting::<List<Alert>>(
            "alert_rules",
            |c| &mut c.admin.alerts,
            "rules",
            "when operators are warned: `<metric>:<warn>/<for>:<critical>/<for>`, such as `error_share:1%/2m:5%/1m`, or `<metric>:off`; separated by commas",
        ),
        setting::<Name>(
            "node_name",
            |c| &mut c.gateway.node,
            "name",
            "this node's name in `hello`, logs and the console",
        )
        .computed("`gw-<hostname>-<PORT>`, or `api-…` of an api that serves no sockets"),
        setting::<Span<0>>(
            "drain_delay",
            |c| &mut c.http.drain_delay,
            "duration",
            "how long a process that was told to stop goes on while `/health/ready` says no, so that balancers look elsewhere first",
        )
        .computed("`0`; `3s` with `REDIS_URL`"),
        setting::<Span<1_000>>(
            "drain_timeout",
            |c| &mut c.http.drain_timeout,
            "duration",
            "longest wait for open requests and sockets when the process stops",
        ),
    ]
}
