//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use crate::introspect::{Kind, Metric};

/// What the format is called in HTTP.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Output: all metrics, those of one name together.
pub fn exposition(mut metrics: Vec<Metric>) -> String {
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut text, mut last) = (String::new(), "");
    for metric in &metrics {
        let name = &*metric.name;
        if name != last {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
            // Into memory nothing fails.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            last = name;
        }
        text.push_str(name);
        for (place, (label, value)) in metric.labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(text, "{before}{label}=\"{value}\"");
        }
        let after = if metric.labels.is_empty() { "" } else { "}" };
        let _ = writeln!(text, "{after} {}", metric.value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_one_name_stand_together_and_values_of_labels_are_escaped() {
        let up = |interface: &str, value| {
            Metric::new("causeway_up", Kind::Gauge, "Whether\nit is up.", value)
                .with("interface", interface)
        };
        let frames = Metric::new("causeway_frames_total", Kind::Counter, "Frames.", 7);
        let text = exposition(vec![up("a", 1), frames, up("b\"\\\n", 0).with("x", 2)]);
        assert_eq!(
            text,
            "# HELP causeway_frames_total Frames.\n# TYPE causeway_frames_total counter\n\
             causeway_frames_total 7\n\
             # HELP causeway_up Whether\\nit is up.\n# TYPE causeway_up gauge\n\
             causeway_up{interface=\"a\"} 1\ncauseway_up{interface=\"b\\\"\\\\\\n\",x=\"2\"} 0\n"
        );
    }
}
