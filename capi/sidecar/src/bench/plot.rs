//! The distribution of round trips, for a terminal and as a picture.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// Rows of bars.
const ROWS: usize = 12;
/// Columns of the longest bar.
const COLUMNS: f64 = 50.0;

/// Output: bars for a terminal; each row takes times up to twice those of the one before. Empty when nothing came back.
pub fn bars(times: &Histogram<u64>) -> String {
    let mut out = String::new();
    if times.is_empty() {
        return out;
    }
    let step = 2_u64.pow(times.min().max(1).ilog2().min(60));
    let mut rows: Vec<(u64, u64)> = times
        .iter_log(step, 2.0)
        .map(|row| (row.value_iterated_to(), row.count_since_last_iteration()))
        .collect();
    while rows.first().is_some_and(|(_, count)| *count == 0) {
        rows.remove(0);
    }
    rows.truncate(ROWS.max(rows.iter().rposition(|(_, count)| *count > 0).map_or(0, |at| at + 1)));
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    for (to, count) in rows {
        // Of a count that is not 0 something is to be seen.
        let length = (count as f64 / most as f64 * COLUMNS).ceil() as usize;
        let _ =
            writeln!(out, "  <= {:>10.1} us {count:>10} {}", to as f64 / 1e3, "#".repeat(length));
    }
    out
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 50.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 20.0;
/// Nines on the horizontal axis: 90 %, 99 % ... of round trips took no longer.
const NINES: f64 = 5.0;

/// Where `quantile` is, from 0 to 1: every nine takes equal room.
fn across(quantile: f64) -> f64 {
    (-(1.0 - quantile).max(1e-9).log10() / NINES).clamp(0.0, 1.0)
}

/// Output: an SVG picture: the time that so many of the round trips did not exceed, both axes logarithmic.
pub fn svg(title: &str, times: &Histogram<u64>) -> String {
    let least = (times.min().max(1) as f64).log10().floor();
    let most = (times.max().max(10) as f64).log10().ceil().max(least + 1.0);
    let x = |quantile: f64| LEFT + across(quantile) * (WIDTH - LEFT - RIGHT);
    let y = |nanos: f64| {
        HEIGHT - BOTTOM - (nanos.log10() - least) / (most - least) * (HEIGHT - BOTTOM - TOP)
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    for quantile in [0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999] {
        let at = x(quantile);
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} %</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0,
            (quantile * 1e7).round() / 1e5
        );
    }
    for exponent in least as i32..=most as i32 {
        let at = y(10_f64.powi(exponent));
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            time(exponent)
        );
    }
    let mut points = String::new();
    for step in times.iter_quantiles(20) {
        let (quantile, nanos) = (step.quantile_iterated_to(), step.value_iterated_to().max(1));
        let _ = write!(points, "{:.1},{:.1} ", x(quantile), y(nanos as f64));
    }
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1565c0\" stroke-width=\"2\"/>\n</svg>",
        points.trim_end()
    );
    out
}

/// A power of ten of nanoseconds.
fn time(exponent: i32) -> String {
    match exponent {
        ..3 => format!("{} ns", 10_i64.pow(exponent.max(0) as u32)),
        3..6 => format!("{} us", 10_i64.pow((exponent - 3) as u32)),
        6..9 => format!("{} ms", 10_i64.pow((exponent - 6) as u32)),
        9.. => format!("{} s", 10_i64.pow((exponent - 9).min(9) as u32)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(nanos: &[u64]) -> Histogram<u64> {
        let mut times = Histogram::new(3).unwrap();
        nanos.iter().for_each(|n| times.record(*n).unwrap());
        times
    }

    #[test]
    fn bars_show_every_round_trip_once() {
        let drawn = bars(&times(&[1_000, 1_500, 3_000, 90_000]));
        let counted = |line: &str| -> Option<u64> { line.split_whitespace().nth(3)?.parse().ok() };
        let counts: Vec<u64> = drawn.lines().filter_map(counted).collect();
        assert_eq!(counts.iter().sum::<u64>(), 4, "{drawn}");
        assert!(counts.first().is_some_and(|n| *n > 0) && counts.last().is_some_and(|n| *n > 0));
        assert_eq!(bars(&times(&[])), "");
    }

    #[test]
    fn a_picture_is_well_formed_and_within_its_frame() {
        for sample in [&[][..], &[7], &[1_000, 2_000, 50_000_000]] {
            let drawn = svg("a < b & c", &times(sample));
            assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
            assert!(drawn.contains("a &lt; b &amp; c") && !drawn.contains("NaN"));
            let points = drawn.split("points=\"").nth(1).and_then(|p| p.split('"').next()).unwrap();
            for point in points.split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{point}");
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{point}");
            }
        }
    }
}
