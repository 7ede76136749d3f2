//! The scene on a terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};

use crate::scene::{GUESTS, PACED_MBITS, Scene, Uplink};

/// Draws everything; fits in 80 columns and 24 lines.
pub(crate) fn draw(frame: &mut Frame<'_>, scene: &Scene) {
    let [head, wires, traffic, events, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(8),
        Constraint::Length(5),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let clock = format!("{:.0} of {} s", scene.elapsed().as_secs_f64(), scene.total().as_secs());
    frame.render_widget(
        Line::from(vec![
            " vswitch ".bold().reversed(),
            "  containers behind a bond of two cables, ".into(),
            clock.into(),
        ]),
        head,
    );
    draw_wires(frame, scene, wires);
    draw_traffic(frame, scene, traffic);
    draw_events(frame, scene, events);
    frame.render_widget(
        Line::from(" q quits. Everything here lives in network namespaces and ends with this program.".dim()),
        foot,
    );
}

fn draw_wires(frame: &mut Frame<'_>, scene: &Scene, area: Rect) {
    let block = Block::bordered().title(" wires ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [left, right] = Layout::horizontal([Constraint::Length(28), Constraint::Min(30)]).areas(inner);
    let drawing = [
        " guest1 --+                +",
        "          |                |",
        " guest2 --+-- br0 == bond0-+",
        "          |                +",
        " guest3 --+",
    ];
    frame.render_widget(Paragraph::new(drawing.map(Line::from).to_vec()), left);
    let most = scene.uplinks.iter().flat_map(|uplink| uplink.history.iter().copied()).max().unwrap_or(1);
    let rows = Layout::vertical(vec![Constraint::Length(3); scene.uplinks.len()]).split(right);
    for (uplink, row) in scene.uplinks.iter().zip(rows.iter()) {
        draw_uplink(frame, uplink, most, *row);
    }
}

fn draw_uplink(frame: &mut Frame<'_>, uplink: &Uplink, most: u64, area: Rect) {
    let [text, curve] = Layout::vertical([Constraint::Length(1), Constraint::Length(2)]).areas(area);
    let (role, color) = match (uplink.active, uplink.enabled) {
        (true, _) => ("ACTIVE ", Color::Green),
        (false, true) => ("standby", Color::Yellow),
        (false, false) => ("out    ", Color::Red),
    };
    let cable = if uplink.plugged { "-----" } else { "-   -" };
    let line = vec![
        format!("{cable} {} ", uplink.name).into(),
        Span::styled(role, Style::new().fg(color).bold()),
        format!(" {:>7} out {:>7} in  frames/s", uplink.rate.0, uplink.rate.1).into(),
    ];
    frame.render_widget(Line::from(line), text);
    let width = usize::from(curve.width.saturating_sub(6));
    let skip = uplink.history.len().saturating_sub(width);
    let data: Vec<u64> = uplink.history.iter().skip(skip).copied().collect();
    let curve = Rect { x: curve.x + 6, width: curve.width.saturating_sub(6), ..curve };
    frame.render_widget(Sparkline::default().data(data).max(most).style(Style::new().fg(color)), curve);
}

fn draw_traffic(frame: &mut Frame<'_>, scene: &Scene, area: Rect) {
    let datagrams = scene.datagrams();
    let counted = |i: usize| match datagrams.get(i) {
        None => "no datagrams yet".to_owned(),
        Some((sent, missing)) => format!("{sent:>6} datagrams, {missing} lost"),
    };
    let tcp = match datagrams.is_empty() {
        true => format!("TCP at full speed: {:.1} Gb/s", scene.tcp.0 as f64 / 1e3),
        false => format!("TCP {} Mb/s (held to {PACED_MBITS})", scene.tcp.0),
    };
    let also = [tcp, format!("ping: {}", scene.ping_text), String::new()];
    let lines: Vec<_> = (0..GUESTS)
        .map(|i| Line::from(format!(" guest{} <-> remote  {:<28}{}", i + 1, counted(i), also[i])))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" traffic ")), area);
}

fn draw_events(frame: &mut Frame<'_>, scene: &Scene, area: Rect) {
    let room = usize::from(area.height.saturating_sub(2));
    let skip = scene.events.len().saturating_sub(room);
    let lines: Vec<_> = scene
        .events
        .iter()
        .enumerate()
        .skip(skip)
        .map(|(i, event)| {
            let cost = match scene.cost(i) {
                None => "".into(),
                Some(0) => "lost 0  ".green(),
                Some(cost) => format!("lost {cost:<3}").red(),
            };
            Line::from(vec![
                format!(" {:5.1} s  ", event.at.as_secs_f64()).dim(),
                cost,
                event.what.clone().into(),
            ])
        })
        .collect();
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(" events, and what each cost in datagrams ")),
        area,
    );
}
