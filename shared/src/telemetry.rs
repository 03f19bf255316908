//! Logging set-up: who listens to `tracing`, which lines pass, and what a line looks like (R-216, R-217).
//!
//! JSON is one flat object a line: the event's own fields and those of the spans around it side by side, so that a
//! shipper can select `request_id` without knowing how deep it was set. `tracing-subscriber`'s own JSON nests spans in
//! arrays and calls the time `timestamp`, hence the layer below. JSON goes to stdout, where shippers read; text for
//! people goes to stderr, so that stdout stays for what a command prints.

use crate::{
    clock::Clock,
    config::{LogConfig, LogFormat},
};
use serde_json::{Map, Value};
use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::MakeWriter,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// The names that log fields have everywhere (R-216). `ts`, `level`, `target` and `message` are the line's own.
pub mod field {
    /// The request's id, as the client got it.
    pub const REQUEST_ID: &str = "request_id";
    /// The route template, never the raw path.
    pub const ROUTE: &str = "route";
    /// The HTTP status that was answered.
    pub const STATUS: &str = "status";
    /// How long it took, in whole milliseconds.
    pub const DURATION_MS: &str = "duration_ms";
    /// Who asked.
    pub const USER_ID: &str = "user_id";
    /// Which connection it happened on.
    pub const CONN: &str = "conn";
}

/// Libraries whose everyday lines say nothing about Pitchey. Named again in `LOG_FILTER`, they speak up.
const QUIET: &str = "sqlx=warn,hyper=warn,hyper_util=warn,h2=warn,tungstenite=warn,tokio_tungstenite=warn,\
                     tokio_util=warn,rustls=warn,fred=warn,mio=warn";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG_FILTER` cannot be understood.
    #[error("failed to read the log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody listens already.
    #[error("failed to install the log: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Installs the process's log; once, at the beginning of `main`.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(filter(&config.filter)?);
    match config.format {
        LogFormat::Json => registry.with(JsonLines { out: io::stdout, clock: Clock::System }).try_init()?,
        LogFormat::Pretty => {
            let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
            // A terminal gets colours unless NO_COLOR is set, which the layer looks after; a file never does.
            let lines = if io::stderr().is_terminal() { lines } else { lines.with_ansi(false) };
            registry.with(lines).try_init()?;
        }
    }
    Ok(())
}

fn filter(directives: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{directives}"))
}

/// One flat JSON object a line.
struct JsonLines<W> {
    out: W,
    clock: Clock,
}

/// A span's fields, kept until its events need them.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(SpanFields(fields.0));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(known) = span.extensions_mut().get_mut::<SpanFields>() {
            known.0.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(known) = span.extensions().get::<SpanFields>() {
                fields.0.extend(known.0.clone());
            }
        }
        event.record(&mut fields);
        let line = self.line(event, fields.0);
        // Nobody is left to tell when the log itself cannot be written.
        let _ = self.out.make_writer().write_all(line.as_bytes());
    }
}

impl<W> JsonLines<W> {
    /// The line's own four first, for people who read it after all; then the rest by name.
    fn line(&self, event: &Event<'_>, mut fields: Map<String, Value>) -> String {
        let message = fields.remove("message").unwrap_or_default();
        let (level, target) = (event.metadata().level().as_str(), Value::from(event.metadata().target()));
        let ts = self.clock.now();
        let mut line = format!(r#"{{"ts":"{ts}","level":"{level}","message":{message},"target":{target}"#);
        for (name, value) in fields.into_iter().filter(|(name, _)| !matches!(name.as_str(), "ts" | "level" | "target"))
        {
            fmt::Write::write_fmt(&mut line, format_args!(",{}:{value}", Value::from(name)))
                .expect("writing to a string");
        }
        line.push_str("}\n");
        line
    }
}

/// Collects fields as JSON: numbers and switches as such, the rest as text.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(directives: &str, work: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let out = memory.clone();
        let lines = JsonLines { out: move || out.clone(), clock: Clock::manual(Timestamp::from_micros(0)) };
        let subscriber = tracing_subscriber::registry().with(filter(directives).unwrap()).with(lines);
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_of_the_spans_around_it() {
        let lines = lines_of("info", || {
            let request = tracing::info_span!("request", request_id = "r1", user_id = tracing::field::Empty);
            let _inside = request.enter();
            request.record("user_id", "u1");
            tracing::info!(target: "pitchey::test", status = 200_u64, duration_ms = 3_u64, route = "/api/genres", "answered\nin two lines");
        });
        assert_eq!(
            lines,
            [concat!(
                r#"{"ts":"1970-01-01T00:00:00.000000Z","level":"INFO","message":"answered\nin two lines","#,
                r#""target":"pitchey::test","duration_ms":3,"request_id":"r1","route":"/api/genres","status":200,"#,
                r#""user_id":"u1"}"#
            )]
        );
    }

    #[test]
    fn a_field_cannot_pose_as_the_lines_own() {
        let lines = lines_of("info", || tracing::info!(ts = "never", level = "LOW", target = "x", "\"}}{{"));
        let line: Map<String, Value> = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((line["level"].as_str(), line["message"].as_str()), (Some("INFO"), Some("\"}{")));
        assert_eq!((lines[0].matches("\"ts\":").count(), lines[0].matches("\"target\":").count()), (1, 1));
    }

    #[test]
    fn libraries_are_quiet_until_they_are_named() {
        let chatter = || {
            tracing::info!(target: "sqlx::sqlite", "chatter");
            tracing::info!("ours");
        };
        assert_eq!(lines_of("info", chatter).len(), 1);
        assert_eq!(lines_of("info,sqlx=info", chatter).len(), 2);
        assert_eq!(lines_of("error", chatter).len(), 0);
    }
}
