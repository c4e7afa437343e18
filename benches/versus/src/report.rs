//! What is printed: tables, ratios held against their targets, and a file of the same for the chart.

use crate::samples::Summary;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Prints a table.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn print(&self) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            println!("{}", line(row, &widths));
            if index == 0 {
                let dashes: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
                println!("{}", line(&dashes, &widths));
            }
        }
        println!();
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::from("|");
    for (index, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let written =
            if index == 0 { write!(line, " {cell:<width$} |") } else { write!(line, " {cell:>width$} |") };
        written.expect("a string takes everything");
    }
    line
}

/// A number to the digits that mean something; nothing where there is none.
pub fn short(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value < 0.995 => format!("{value:.2}"),
        Some(value) if value < 9.95 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

pub fn pair(first: Option<f64>, second: Option<f64>) -> String {
    match (first, second) {
        (None, None) => short(None),
        _ => format!("{} / {}", short(first), short(second)),
    }
}

pub fn title(text: &str) {
    println!("## {text}\n");
}

/// A ratio, and what it is to be at most.
pub fn ratio(operation: &str, over_under: &str, summary: Option<Summary>, target: Option<f64>) {
    let Some(summary) = summary else {
        return println!("ratio {operation} {over_under} not measured");
    };
    match target {
        Some(target) if target.is_finite() => {
            println!(
                "ratio {operation} {over_under} {summary} target <= {target:.2}: {}",
                verdict(summary.median, target)
            );
        }
        _ => println!("ratio {operation} {over_under} {summary}"),
    }
}

/// A value with a target of its own.
pub fn value(what: &str, value: Option<f64>, unit: &str, target: f64) {
    let Some(value) = value else { return println!("value {what} not measured") };
    println!("value {what} {value:.2} {unit} target <= {target:.0}: {}", verdict(value, target));
}

pub fn verdict(value: f64, target: f64) -> &'static str {
    if value <= target { "met" } else { "NOT MET" }
}

/// Everything that was measured, for other programs.
pub struct Csv(String);

impl Csv {
    pub fn new() -> Self {
        Self("section,contestant,sort,operation,threads,median,min,max\n".to_owned())
    }

    pub fn add(
        &mut self,
        section: &str,
        contestant: &str,
        sort: &str,
        operation: &str,
        threads: u32,
        of: Summary,
    ) {
        let Summary { median, min, max } = of;
        let written = writeln!(
            self.0,
            "{section},{contestant},{sort},{operation},{threads},{median:.3},{min:.3},{max:.3}"
        );
        written.expect("a string takes everything");
    }

    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        fs::write(path, &self.0)
    }
}
