//! The chart of the README: the share of bare Envoy's throughput for each way of deciding, and the cost of a request. Plain
//! SVG, in colours that follow the reader's light or dark page.

use std::fmt::Write as _;

use serde_json::Value;

/// Names in the figures, and their labels in the chart. Rows of Cutover are filled with colour.
const BARS: [(&str, &str, bool); 11] = [
    ("bare", "bare Envoy", false),
    ("jwt_cached", "jwt_authn, token cache", false),
    ("guard", "Cutover’s guard alone", true),
    ("guard_wasm", "Cutover’s guard alone, walled off", true),
    ("warm", "Cutover, session known (lease)", true),
    ("warm_wasm", "… with the guard walled off", true),
    ("lua_jwt_cached", "Lua header strip + cached jwt_authn", false),
    ("jwt", "jwt_authn", false),
    ("cold", "Cutover, full check on every request", true),
    ("cold_wasm", "… with the guard walled off", true),
    ("naive", "naive ext_authz (tonic)", false),
];

const WIDTH: f64 = 880.0;
const LABELS: f64 = 268.0;
const BAR: f64 = 22.0;
const STEP: f64 = 34.0;
const TOP: f64 = 84.0;
/// The end of a bar of 100 %.
const FULL: f64 = 396.0;

const STYLE: &str = "\
    text { font: 13px -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; fill: #1f2328 }
    .title { font-size: 17px; font-weight: 600 }
    .quiet { fill: #59636e; font-size: 12px }
    .figure { font-weight: 600; font-variant-numeric: tabular-nums }
    .small { fill: #59636e; font-size: 12px; font-variant-numeric: tabular-nums }
    .ours { font-weight: 600 }
    .track { fill: #818b98; fill-opacity: .14 }
    .other { fill: #818b98 }
    .edge { fill: #0969da }
    .grid { stroke: #818b98; stroke-opacity: .35; stroke-dasharray: 2 4 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .quiet, .small { fill: #9198a1 }
      .other { fill: #6e7681 }
      .edge { fill: #4493f8 }
    }
";

/// The chart of a file of figures. Rows that were not measured are left out.
pub(crate) fn draw(figures: &Value) -> String {
    let mut bars: Vec<(f64, &str, bool, &Value)> = BARS
        .iter()
        .filter_map(|(key, label, ours)| {
            let row = figures.get("rows")?.get(*key)?;
            Some((row.get("ratio")?.as_f64()?, *label, *ours, row))
        })
        .collect();
    bars.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    #[expect(clippy::cast_precision_loss, reason = "a handful of bars")]
    let bottom = TOP + bars.len() as f64 * STEP;
    let height = bottom + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n  \
         <title id=\"title\">Throughput as a share of bare Envoy, and CPU time for each request</title>\n  \
         <style>\n{STYLE}  </style>\n  \
         <text class=\"title\" x=\"0\" y=\"22\">Authorized requests through one Envoy worker</text>\n  \
         <text class=\"quiet\" x=\"0\" y=\"44\">Throughput as a share of bare Envoy with the same access log; CPU time for each request</text>\n  \
         <text class=\"quiet\" x=\"{}\" y=\"70\" text-anchor=\"end\">Envoy</text>\n  \
         <text class=\"quiet\" x=\"{WIDTH}\" y=\"70\" text-anchor=\"end\">+ authorizer</text>\n",
        WIDTH - 84.0
    );
    for quarter in 1..=4 {
        let x = LABELS + FULL * f64::from(quarter) / 4.0;
        let percent = 25 * quarter;
        let _ = writeln!(
            svg,
            "  <text class=\"quiet\" x=\"{x}\" y=\"70\" text-anchor=\"middle\">{percent} %</text>\n  <line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{TOP}\" y2=\"{bottom}\"/>",
        );
    }
    let mut y = TOP;
    for (ratio, label, ours, row) in bars {
        bar(&mut svg, y, ratio, label, ours, row);
        y += STEP;
    }
    let _ = writeln!(
        svg,
        "  <text class=\"quiet\" x=\"0\" y=\"{}\">{}</text>\n</svg>",
        bottom + 26.0,
        footer(figures)
    );
    svg
}

fn bar(svg: &mut String, y: f64, ratio: f64, label: &str, ours: bool, row: &Value) {
    let of = |key: &str| row.get(key).and_then(Value::as_f64).unwrap_or_default();
    let middle = y + BAR / 2.0 + 4.5;
    let width = (FULL * ratio.clamp(0.0, 1.0) * 10.0).round() / 10.0;
    let (kind, weight) = if ours { ("edge", " class=\"ours\"") } else { ("other", "") };
    let authorizer = of("authorizer_us");
    let authorizer = if authorizer > 0.05 { format!("{authorizer:.0} µs") } else { "–".to_owned() };
    let _ = writeln!(
        svg,
        "  <text{weight} x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\n  \
         <rect class=\"track\" x=\"{LABELS}\" y=\"{y}\" width=\"{FULL}\" height=\"{BAR}\" rx=\"4\"/>\n  \
         <rect class=\"{kind}\" x=\"{LABELS}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"4\"/>\n  \
         <text class=\"figure\" x=\"{}\" y=\"{middle}\">{:.0} %</text>\n  \
         <text class=\"small\" x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{:.0} µs</text>\n  \
         <text class=\"small\" x=\"{WIDTH}\" y=\"{middle}\" text-anchor=\"end\">{authorizer}</text>",
        LABELS - 12.0,
        escaped(label),
        LABELS + FULL + 10.0,
        100.0 * ratio,
        WIDTH - 84.0,
        of("envoy_us"),
    );
}

fn footer(figures: &Value) -> String {
    let rounds = figures.pointer("/rows/bare/rounds").and_then(Value::as_array).map_or(0, Vec::len);
    let text =
        |pointer: &str| figures.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let cores = figures.pointer("/machine/cores").and_then(Value::as_u64).unwrap_or_default();
    escaped(&format!(
        "Medians of {rounds} interleaved rounds of one run of `make bench`, {}, {cores} cores. Every bar is also in docs/performance.md.",
        text("/machine/cpu")
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::draw;
    use serde_json::json;

    #[test]
    fn the_best_comes_first_and_unmeasured_rows_are_left_out() {
        let row =
            |ratio: f64| json!({ "ratio": ratio, "envoy_us": 100.0, "authorizer_us": 0.0, "rounds": [] });
        let svg = draw(
            &json!({ "rows": { "cold": row(0.35), "bare": row(1.0) }, "machine": { "cpu": "A <B>", "cores": 2 } }),
        );
        let place = |text: &str| svg.find(text).unwrap();
        assert!(place("bare Envoy</text>") < place("Cutover, full check"));
        assert!(!svg.contains("naive"));
        assert!(svg.contains("A &lt;B&gt;") && svg.contains("width=\"138.6\""));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }
}
