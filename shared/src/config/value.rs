//! How one value is read from text and shown again: the same text in the file, the environment and a flag.
//!
//! A codec knows the shape of a value and nothing of which setting it serves; rules between settings are in
//! `validate.rs`. `show` is the inverse of `parse`, so what `--print-config` prints can be used as a file.

use super::{DataDir, Environment, LogFormat, Place, Pooler, SameSite, origin};
use crate::secret::Secret;
use std::{marker::PhantomData, net::IpAddr, net::SocketAddr, path::PathBuf, time::Duration};

/// Reads and shows one kind of value.
pub(super) trait Codec {
    /// What the configuration holds.
    type Value;
    /// Whether a flag of this kind may stand without a value (`--allow-anonymous`).
    const SWITCH: bool = false;
    /// Completes "expected …" when [`Codec::parse`] refuses.
    fn expected() -> String;
    /// The value, or nothing if the text is not one.
    fn parse(text: &str) -> Option<Self::Value>;
    /// A text that parses to the value; empty for an unset one.
    fn show(value: &Self::Value) -> String;
}

/// A whole number from `MIN` to `MAX`.
pub(super) struct Count<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

impl<T: TryFrom<u64> + Copy + TryInto<u64>, const MIN: u64, const MAX: u64> Codec for Count<T, MIN, MAX> {
    type Value = T;

    fn expected() -> String {
        format!("a number {MIN}–{MAX}")
    }

    fn parse(text: &str) -> Option<T> {
        let number: u64 = text.parse().ok()?;
        (MIN..=MAX).contains(&number).then(|| T::try_from(number).ok())?
    }

    fn show(value: &T) -> String {
        (*value).try_into().map(|number| number.to_string()).unwrap_or_default()
    }
}

/// A size in bytes from `MIN` to `MAX`, as `64KiB`.
pub(super) struct Size<const MIN: usize, const MAX: usize>;

const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl<const MIN: usize, const MAX: usize> Codec for Size<MIN, MAX> {
    type Value = usize;

    fn expected() -> String {
        format!("a size {}–{}, such as 64KiB", show_size(MIN), show_size(MAX))
    }

    fn parse(text: &str) -> Option<usize> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, suffix) = text.split_at(split);
        let unit = match suffix.trim() {
            "" => 1, // a bare number is bytes
            suffix => SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(suffix))?.1,
        };
        let bytes = digits.parse::<usize>().ok()?.checked_mul(unit)?;
        (MIN..=MAX).contains(&bytes).then_some(bytes)
    }

    fn show(value: &usize) -> String {
        show_size(*value)
    }
}

fn show_size(bytes: usize) -> String {
    let (name, unit) =
        SIZES.into_iter().find(|(_, unit)| bytes.is_multiple_of(*unit) && bytes >= *unit).unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

/// A duration of at least `MIN_MS` milliseconds and at most ten years, as `30s`, `1h30m` or `7d`.
pub(super) struct Span<const MIN_MS: u64>;

const SPANS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const LONGEST_MS: u64 = 3_650 * 86_400_000;

impl<const MIN_MS: u64> Codec for Span<MIN_MS> {
    type Value = Duration;

    fn expected() -> String {
        match MIN_MS {
            0 => "a duration with its unit, such as 500ms, 30s, 5m or 7d".into(),
            least => format!("a duration with its unit, such as 30s, 5m or 7d, and at least {}", show_span(least)),
        }
    }

    fn parse(text: &str) -> Option<Duration> {
        let total = match text {
            "0" => 0, // the only number that means the same in every unit
            _ => parse_span(text)?,
        };
        (MIN_MS..=LONGEST_MS).contains(&total).then(|| Duration::from_millis(total))
    }

    fn show(value: &Duration) -> String {
        show_span(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Sums `1h30m`; every number needs a unit, since nobody can tell whether a bare `30` meant seconds.
fn parse_span(mut text: &str) -> Option<u64> {
    let mut total = 0_u64;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = text[..digits].parse().ok()?;
        text = &text[digits..];
        let unit = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (_, ms) = SPANS.iter().find(|(name, _)| *name == &text[..unit])?;
        total = total.checked_add(number.checked_mul(*ms)?)?;
        text = &text[unit..];
    }
    (total > 0).then_some(total)
}

fn show_span(ms: u64) -> String {
    let exact = SPANS.into_iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit));
    exact.map_or_else(|| "0".into(), |(name, unit)| format!("{}{name}", ms / unit))
}

/// `true` or `false`; a flag may leave it out.
pub(super) struct Switch;

impl Codec for Switch {
    type Value = bool;
    const SWITCH: bool = true;

    fn expected() -> String {
        "true or false".into()
    }

    fn parse(text: &str) -> Option<bool> {
        match text {
            "true" | "1" | "on" | "yes" => Some(true),
            "false" | "0" | "off" | "no" => Some(false),
            _ => None,
        }
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// A name that is safe in file names, logs and metrics labels.
pub(super) struct Name;

impl Codec for Name {
    type Value = String;

    fn expected() -> String {
        "1–64 letters, digits, dots, dashes or underscores, beginning with a letter or digit".into()
    }

    fn parse(text: &str) -> Option<String> {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        (begins && text.len() <= 64 && text.chars().all(safe)).then(|| text.to_owned())
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// Several values of one kind, separated by commas; an empty text is an empty list.
pub(super) struct List<C>(PhantomData<C>);

impl<C: Codec> Codec for List<C> {
    type Value = Vec<C::Value>;

    fn expected() -> String {
        format!("a list separated by commas, each {}", C::expected())
    }

    fn parse(text: &str) -> Option<Vec<C::Value>> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(C::parse).collect()
    }

    fn show(value: &Vec<C::Value>) -> String {
        value.iter().map(C::show).collect::<Vec<_>>().join(",")
    }
}

/// A value that may be absent; an empty text unsets it.
pub(super) struct Maybe<C>(PhantomData<C>);

impl<C: Codec> Codec for Maybe<C> {
    type Value = Option<C::Value>;
    const SWITCH: bool = C::SWITCH;

    fn expected() -> String {
        C::expected()
    }

    fn parse(text: &str) -> Option<Option<C::Value>> {
        if text.is_empty() { Some(None) } else { C::parse(text).map(Some) }
    }

    fn show(value: &Option<C::Value>) -> String {
        value.as_ref().map(C::show).unwrap_or_default()
    }
}

/// A codec from a type's own parser and printer, with the words for what it expects.
macro_rules! codec {
    ($(#[$doc:meta])* $name:ident: $value:ty, $expected:expr, $parse:expr, $show:expr) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl Codec for $name {
            type Value = $value;

            fn expected() -> String {
                $expected.into()
            }

            fn parse(text: &str) -> Option<$value> {
                let parse: fn(&str) -> Option<$value> = $parse;
                parse(text)
            }

            fn show(value: &$value) -> String {
                let show: fn(&$value) -> String = $show;
                show(value)
            }
        }
    };
}

codec!(
    /// An IP address to bind.
    Address: IpAddr, "an IP address, such as 127.0.0.1 or ::", |text| text.parse().ok(), IpAddr::to_string
);
codec!(
    /// An IP address and a port to bind.
    Socket: SocketAddr, "an address and a port, such as 127.0.0.1:8002", |text| text.parse().ok(), SocketAddr::to_string
);
codec!(
    /// A folder.
    Folder: DataDir,
    "a path",
    |text| (!text.is_empty() && !text.contains('\0')).then(|| DataDir(text.into())),
    |dir| dir.0.display().to_string()
);
codec!(
    /// A file.
    File: PathBuf,
    "a path",
    |text| (!text.is_empty() && !text.contains('\0')).then(|| text.into()),
    |path| path.display().to_string()
);
codec!(
    /// The store's address; a secret, since it may hold a password.
    DatabaseUrl: Secret,
    "sqlite:<file>, sqlite::memory: or postgres://user:password@host/database",
    |text| ["sqlite:", "postgres://", "postgresql://"].iter().any(|s| text.starts_with(s)).then(|| Secret::new(text)),
    |url| url.expose().to_owned()
);
codec!(
    /// The same database past a pooler; a secret too.
    PostgresUrl: Secret,
    "postgres://user:password@host/database",
    |text| ["postgres://", "postgresql://"].iter().any(|s| text.starts_with(s)).then(|| Secret::new(text)),
    |url| url.expose().to_owned()
);
codec!(
    /// Where sockets are served.
    PlaceName: Place,
    "hosted or separate",
    |text| [Place::Hosted, Place::Separate].into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text)),
    |place| place.as_str().to_owned()
);
codec!(
    /// What stands before PostgreSQL.
    PoolerName: Pooler,
    "direct, tracked or legacy",
    |text| Pooler::ALL.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text)),
    |pooler| pooler.as_str().to_owned()
);
codec!(
    /// The engine's address; a secret, since it may hold a password.
    RedisUrl: Secret,
    "redis(s)://user:password@host:6379, redis(s)-sentinel://…?sentinelServiceName=name or redis(s)-cluster://…",
    |text| {
        let kinds = ["", "-sentinel", "-cluster"].map(|kind| [format!("redis{kind}://"), format!("rediss{kind}://")]);
        kinds.as_flattened().iter().any(|scheme| text.starts_with(scheme)).then(|| Secret::new(text))
    },
    |url| url.expose().to_owned()
);
codec!(
    /// The origin that links and cookies are built from.
    BaseUrl: String,
    "http(s)://host[:port] without a path",
    |text| origin::Origin::parse(text.strip_suffix('/').unwrap_or(text)).map(|base| base.to_string()),
    String::clone
);
codec!(
    /// An origin that may call from a browser.
    AllowedOrigin: String,
    "an origin such as https://app.example.org or https://*.example.org",
    |text| origin::Pattern::parse(text).map(|pattern| pattern.to_string()),
    String::clone
);
codec!(
    /// When a browser sends the cookie along.
    SameSiteName: SameSite,
    "lax, strict or none",
    |text| [SameSite::Lax, SameSite::Strict, SameSite::None].into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text)),
    |same_site| same_site.as_str().to_owned()
);
codec!(
    /// A cookie's name: a token of RFC 6265.
    CookieName: String,
    "a cookie name of letters, digits, dashes and underscores",
    |text| {
        let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (!text.is_empty() && text.bytes().all(safe)).then(|| text.to_owned())
    },
    String::clone
);
codec!(
    /// A domain name; the leading dot of old cookies is dropped, browsers ignore it too.
    Domain: String,
    "a domain such as example.org",
    |text| {
        let domain = text.trim_start_matches('.').to_ascii_lowercase();
        matches!(origin::split_port(&domain), Some((_, None))).then_some(domain)
    },
    String::clone
);
codec!(
    /// Development or production.
    EnvironmentName: Environment,
    "development or production",
    |text| [Environment::Development, Environment::Production].into_iter().find(|it| it.as_str() == text),
    |environment| environment.as_str().to_owned()
);
codec!(
    /// How log lines look.
    Format: LogFormat,
    "pretty or json",
    |text| [LogFormat::Pretty, LogFormat::Json].into_iter().find(|it| it.as_str() == text),
    |format| format.as_str().to_owned()
);
codec!(
    /// A filter of log lines.
    Filter: String,
    "a filter such as info or pitchey_gateway=debug,info",
    |text| tracing_subscriber::EnvFilter::builder().parse(text).is_ok().then(|| text.to_owned()),
    String::clone
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_need_a_unit_and_may_be_added_up() {
        assert_eq!(Span::<0>::parse("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(Span::<0>::parse("500ms"), Some(Duration::from_millis(500)));
        for wrong in ["30", "s", "-1s", "1.5h", "5 m", "9999999999d", "", "0s0m"] {
            assert_eq!(Span::<0>::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Span::<1>::parse("0"), None, "a deadline of nothing would refuse everybody");
    }

    #[test]
    fn sizes_are_binary_and_bounded() {
        assert_eq!(Size::<1, 1_000_000>::parse("64KiB"), Some(65_536));
        assert_eq!(Size::<1, 1_000_000>::parse("4096"), Some(4_096));
        for wrong in ["0", "1GiB", "64KB", "KiB", "-1", "99999999999999999999KiB"] {
            assert_eq!(Size::<1, 1_000_000>::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert_eq!(Count::<u16, 0, 65_535>::parse("65535"), Some(65_535));
        assert_eq!(Count::<u16, 0, 65_535>::parse("65536"), None);
        assert_eq!(Count::<u8, 0, 300>::parse("299"), None, "a range wider than the type wraps nothing around");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same_value(ms in 1_u64..LONGEST_MS, bytes in 1_usize..1 << 31) {
            prop_assert_eq!(Span::<1>::parse(&show_span(ms)), Some(Duration::from_millis(ms)));
            prop_assert_eq!(Size::<1, { 1 << 31 }>::parse(&show_size(bytes)), Some(bytes));
        }
    }
}
