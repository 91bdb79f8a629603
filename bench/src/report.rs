//! The table of figures.

use std::path::Path;

use serde_json::{Value, json};

pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    aim: Option<Aim>,
}

#[derive(Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub fn new() -> Self {
        Report { rows: Vec::new() }
    }

    pub fn figure(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.push(what.into(), value, unit, None);
    }

    pub fn held(&mut self, what: impl Into<String>, value: f64, unit: &'static str, aim: Aim) {
        self.push(what.into(), value, unit, Some(aim));
    }

    fn push(&mut self, what: String, value: f64, unit: &'static str, aim: Option<Aim>) {
        let row = Row { what, value, unit, aim };
        eprintln!("  {}", row.line());
        self.rows.push(row);
    }

    /// The value of an earlier figure, to make a ratio with.
    pub fn value(&self, what: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.what == what).map(|row| row.value)
    }

    /// Neighbours' figures, as rows of this table, with the ratio to ours where both measured the same.
    pub fn neighbours(&mut self, path: &Path) {
        let text = std::fs::read_to_string(path).expect("the neighbours' figures can be read");
        let json: Value = serde_json::from_str(&text).expect("the neighbours' figures are JSON");
        for run in json["neighbours"].as_array().into_iter().flatten() {
            let (Some(who), Some(size)) = (run["name"].as_str(), run["memories"].as_u64()) else { continue };
            let cpu_us = run["search"]["cpu_us"].as_f64().unwrap_or(f64::NAN);
            self.figure(format!("{who}: search {size}, in process, CPU"), cpu_us, "µs");
            for ours in ["HTTP, 16 clients", "library, encrypted"] {
                if let Some(value) = self.value(&format!("search {size}, {ours}, CPU")) {
                    self.figure(format!("{who} ÷ ours ({ours}): search {size}, CPU"), cpu_us / value, "×");
                }
            }
            if let Some(bulk) = run["bulk_add_per_second"].as_f64() {
                self.figure(format!("{who}: bulk add of {size}, in process"), bulk, "/s");
            }
        }
    }

    pub fn print(&self) {
        println!();
        for row in &self.rows {
            println!("{}", row.line());
        }
    }

    pub fn write(&self, path: &Path) {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({"what": row.what, "value": row.value, "unit": row.unit, "aim": row.aim_text()}))
            .collect();
        std::fs::write(path, serde_json::to_string_pretty(&rows).expect("figures are JSON")).expect("written");
    }
}

impl Row {
    fn line(&self) -> String {
        let digits = if self.value >= 100.0 { 0 } else { 3 - (self.value.max(0.01).log10().ceil() as usize).min(3) };
        let value = format!("{:.digits$}", self.value);
        let mark = match self.aim {
            Some(Aim::AtMost(aim)) if self.value <= aim => "ok ",
            Some(Aim::AtLeast(aim)) if self.value >= aim => "ok ",
            Some(_) => "-- ",
            None => "   ",
        };
        format!("{mark}{:<58} {value:>10} {:<7} {}", self.what, self.unit, self.aim_text())
    }

    fn aim_text(&self) -> String {
        match self.aim {
            Some(Aim::AtMost(aim)) => format!("aim ≤ {aim}"),
            Some(Aim::AtLeast(aim)) => format!("aim ≥ {aim}"),
            None => String::new(),
        }
    }
}

pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(((values.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(f64::NAN)
}
