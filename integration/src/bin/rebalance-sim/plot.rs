//! The plot: for each scenario the imbalance over time, and the moves so far.

use std::fmt::Write as _;

use crate::scenario::Hour;
use crate::traffic::SECONDS;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 130.0;
/// Room around a panel: left for the axis, above for the title, below for the minutes.
const LEFT: f64 = 55.0;
const ABOVE: f64 = 34.0;
const BELOW: f64 = 26.0;
/// Seconds that a point of a line is the mean of.
const STEP: usize = 30;
/// One for each algorithm; apart also for those who don't see red and green apart.
const COLOURS: [&str; 3] = ["#999999", "#d55e00", "#0072b2"];

/// What was compared in a scenario: its name, and each algorithm's name and hour.
pub(crate) type Panel = (&'static str, Vec<(&'static str, Hour)>);

/// An SVG document.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let row = ABOVE + HEIGHT + BELOW;
    let (width, height) = (2.0 * (LEFT + WIDTH) + 20.0, row * panels.len() as f64 + 30.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let names = panels.iter().flat_map(|(_, hours)| hours.iter().map(|(name, _)| *name)).take(COLOURS.len());
    for (nth, (name, colour)) in names.zip(COLOURS).enumerate() {
        let x = LEFT + 110.0 * nth as f64;
        let _ = writeln!(out, "<path d=\"M{x} 16h22\" stroke=\"{colour}\" stroke-width=\"3\"/>");
        let _ = writeln!(out, "<text x=\"{}\" y=\"20\" font-size=\"13\">{name}</text>", x + 28.0);
    }
    for (nth, (name, hours)) in panels.iter().enumerate() {
        let top = 24.0 + row * nth as f64 + ABOVE;
        let imbalance: Vec<Vec<f64>> = hours.iter().map(|(_, hour)| means(&hour.imbalance)).collect();
        let moves: Vec<Vec<f64>> = hours.iter().map(|(_, hour)| sums(&hour.moves)).collect();
        panel(&mut out, LEFT, top, &format!("{name}: imbalance, %"), &imbalance);
        panel(&mut out, 2.0 * LEFT + WIDTH, top, "buckets moved so far", &moves);
    }
    out.push_str("</svg>\n");
    out
}

/// The means of so many seconds, in percent.
fn means(of: &[f64]) -> Vec<f64> {
    of.chunks(STEP).map(|part| part.iter().sum::<f64>() / part.len() as f64 * 100.0).collect()
}

/// The sum from the start.
fn sums(of: &[usize]) -> Vec<f64> {
    let add = |sum: &mut usize, part: &[usize]| {
        *sum += part.iter().sum::<usize>();
        Some(*sum as f64)
    };
    of.chunks(STEP).scan(0, add).collect()
}

fn panel(out: &mut String, left: f64, top: f64, title: &str, lines: &[Vec<f64>]) {
    let highest = lines.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
    let tick = round_above(highest / 4.0);
    let scale = tick * (highest / tick).ceil().max(1.0);
    let _ = writeln!(out, "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 7.0);
    for nth in 0..=(scale / tick).round() as usize {
        let value = tick * nth as f64;
        let y = top + HEIGHT - HEIGHT * value / scale;
        let _ = writeln!(out, "<path d=\"M{left} {y:.1}h{WIDTH}\" stroke=\"#dddddd\"/>");
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    for minute in (0..=SECONDS / 60).step_by(10) {
        let x = left + WIDTH * minute as f64 / (SECONDS / 60) as f64;
        let y = top + HEIGHT + 14.0;
        let unit = if minute == 0 { " min" } else { "" };
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{minute}{unit}</text>");
    }
    for (line, colour) in lines.iter().zip(COLOURS) {
        let _ = write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" points=\"");
        for (nth, value) in line.iter().enumerate() {
            let x = left + WIDTH * (nth as f64 + 0.5) / line.len() as f64;
            let _ = write!(out, "{x:.1},{:.1} ", top + HEIGHT - HEIGHT * value / scale);
        }
        out.push_str("\"/>\n");
    }
}

/// The next of 1, 2, 5, 10, ... above; at least 1.
fn round_above(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= value).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks() {
        let of = [0.0, 1.0, 1.1, 3.0, 7.0, 12.0, 600.0].map(round_above);
        assert_eq!(of, [1.0, 1.0, 2.0, 5.0, 10.0, 20.0, 1000.0]);
    }
}
