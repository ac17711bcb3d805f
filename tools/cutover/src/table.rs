//! Text tables whose columns are as wide as their widest cell.

/// Which side of its column a cell stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Names and other words.
    Left,
    /// Numbers.
    Right,
}

/// Lines up `rows`, the heads first; `sides` has one entry for each column. Two spaces stand between columns.
#[must_use]
pub(crate) fn lined_up(sides: &[Side], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(sides).zip(&widths).map(|((cell, side), width)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_widens_its_column_and_moves_no_other_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let name = "a".repeat(64);
        let rows = [row(["route", "count", "to"]), row([&name, "7", "users"]), row(["b", "1234567", ""])];
        let text = lined_up(&[Side::Left, Side::Right, Side::Left], &rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("route{}    count  to", " ".repeat(59)));
        assert_eq!(lines[1], format!("{name}        7  users"));
        assert_eq!(lines[2], format!("b{}  1234567", " ".repeat(63)), "no space at the end");
    }
}
