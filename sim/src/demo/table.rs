//! The table that the demo prints.

use std::fmt;

use super::figures::grouped;
use super::run::DemoReport;

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<&str> = Vec::new();
        for (name, _) in self.legs.iter().flat_map(|leg| &leg.figures) {
            if !rows.contains(&name.as_str()) {
                rows.push(name);
            }
        }
        let width = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        let columns: Vec<usize> = self
            .legs
            .iter()
            .map(|leg| {
                let values = leg.figures.iter().map(|(_, value)| value.chars().count());
                values.chain([leg.name.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        write!(f, "{:width$}", "")?;
        for (leg, column) in self.legs.iter().zip(&columns) {
            write!(f, "   {:>column$}", leg.name)?;
        }
        writeln!(f)?;
        writeln!(f, "{}", "-".repeat(width + columns.iter().map(|c| c + 3).sum::<usize>()))?;
        for row in rows {
            write!(f, "{row:width$}")?;
            for (leg, column) in self.legs.iter().zip(&columns) {
                let value = leg.figures.iter().find(|(name, _)| name == row);
                let value = value.map_or("-", |(_, value)| value.as_str());
                write!(f, "   {value:>column$}")?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for leg in &self.legs {
            writeln!(f, "{}: {}", leg.name, leg.about)?;
        }
        for leg in &self.legs {
            if let (Some(formula), Some(ratio)) = (&leg.formula, leg.steady_ratio) {
                writeln!(f, "{}: {formula}; reached {:.2} %", leg.name, ratio * 100.0)?;
            }
        }
        writeln!(f)?;
        for file in &self.files {
            writeln!(f, "wrote {}", file.display())?;
        }
        let frames = self.legs.iter().map(|leg| leg.frames).sum();
        let wall = self.legs.iter().map(|leg| leg.wall).sum::<std::time::Duration>();
        writeln!(
            f,
            "{} frames in {:.2} s of wall-clock time",
            grouped(frames),
            wall.as_secs_f64()
        )?;
        write!(f, "seed {}, state hash {:016x}", self.seed, self.state_hash)
    }
}
