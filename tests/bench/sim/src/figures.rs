//! What was measured beside what it should be.

/// Of what a figure is, and so which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Frames a second.
    Frames,
    /// Ours through theirs.
    Ratio,
    /// Seeds a CPU-hour.
    Seeds,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames/s",
            Self::Ratio => "x",
            Self::Seeds => "seeds/CPU-h",
            Self::Seconds => "s",
            Self::Millis => "ms",
        }
    }

    /// Getter: more of it is better.
    const fn more_is_better(self) -> bool {
        matches!(self, Self::Frames | Self::Ratio | Self::Seeds)
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Frames | Self::Seeds => format!("{:.2} M", value / 1e6),
            Self::Ratio | Self::Seconds | Self::Millis => format!("{value:.2}"),
        }
    }
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    id: &'static str,
    what: &'static str,
    value: f64,
    unit: Unit,
    goal: f64,
}

impl Figure {
    /// A figure with the goal's number and what it should be.
    pub const fn new(
        id: &'static str,
        what: &'static str,
        value: f64,
        unit: Unit,
        goal: f64,
    ) -> Self {
        Self { id, what, value, unit, goal }
    }

    fn is_met(&self) -> bool {
        if self.unit.more_is_better() { self.value >= self.goal } else { self.value <= self.goal }
    }

    /// Getter: the table's head.
    pub fn head() -> String {
        format!("{:<4} {:<30} {:>9} {:>12}  {:<11}", "goal", "what", "measured", "must be", "unit")
    }

    /// Getter: its line of the table.
    pub fn line(&self) -> String {
        let Self { id, what, value, unit, goal } = *self;
        let sign = if unit.more_is_better() { ">=" } else { "<=" };
        let must = format!("{sign} {}", unit.text(goal));
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        format!(
            "{id:<4} {what:<30} {:>9} {must:>12}  {:<11} {verdict}",
            unit.text(value),
            unit.name()
        )
    }
}

/// Every figure as one JSON document.
pub fn json(figures: &[Figure]) -> String {
    let rows = figures.iter().map(|figure| {
        let Figure { id, what, value, unit, goal } = *figure;
        let (unit, met) = (unit.name(), figure.is_met());
        format!(
            r#"{{"goal":"{id}","what":"{what}","value":{value:.3},"unit":"{unit}","must_be":{goal},"met":{met}}}"#
        )
    });
    let rows: Vec<String> = rows.collect();
    format!(r#"{{"bench":"sim","rows":[{}]}}"#, rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_on_its_own_side() {
        let frames = |value| Figure::new("S2", "", value, Unit::Frames, 2e6).is_met();
        let time = |value| Figure::new("S5", "", value, Unit::Millis, 1.0).is_met();
        assert!(frames(2e6) && !frames(1.9e6) && time(1.0) && !time(1.1));
        let line = Figure::new("S5", "a day", 3.0, Unit::Millis, 1.0).line();
        assert!(line.contains("3.00") && line.ends_with("MISSED"), "{line}");
    }
}
