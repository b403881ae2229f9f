//! Log messages as JSON, one object a line.

use std::fmt::{self, Write};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Messages as text or as JSON.
pub enum Style {
    /// For people.
    Text(Format),
    /// For programs.
    Json,
}

/// The fields of an event, whatever their order.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}

/// One line: `time_ns` since 1970, `level`, `target`, `message`, and the fields of the event in `fields`.
fn line(out: &mut dyn Write, event: &Event<'_>, now: SystemTime) -> fmt::Result {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let message = fields.0.remove("message");
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let document = serde_json::json!({
        "time_ns": u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        "level": event.metadata().level().as_str(),
        "target": event.metadata().target(),
        "message": message,
        "fields": fields.0,
    });
    writeln!(out, "{document}")
}

impl<S, N> FormatEvent<S, N> for Style
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self {
            Self::Text(format) => format.format_event(context, writer, event),
            Self::Json => line(&mut writer, event, SystemTime::now()),
        }
    }
}
