//! Edits the text of an edge file: bytes in, bytes out.

use std::ops::Range;

use edge_config::edge::OfKind;

use super::place::{RouteTarget, Share};
use super::{Moves, Shares};

/// One replacement in the text; an empty range is an insertion.
struct Edit {
    at: Range<usize>,
    with: String,
}

/// `text` with `moves` at `place`, and nothing else changed.
pub(super) fn apply(text: &str, place: &RouteTarget, moves: &Moves) -> Result<String, String> {
    let mut edits = match place {
        RouteTarget::One { name, at } => one(name, at, moves),
        RouteTarget::Many { kinds, shares, flow } => {
            let mut edits = match moves.shares() {
                Some(_) if shares.is_empty() => {
                    return Err(
                        "it has no shares: name the kind that moves, such as legacy-session=auth".to_owned()
                    );
                }
                Some(new) => many(text, shares, *flow, new)?,
                None => Vec::new(),
            };
            edits.extend(of_kinds(text, kinds, shares, *flow, moves.kinds())?);
            edits
        }
    };
    edits.sort_by_key(|edit| edit.at.start);
    let mut result = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for edit in edits {
        let kept = text.get(from..edit.at.start).ok_or("its parts overlap")?;
        result.push_str(kept);
        result.push_str(&edit.with);
        from = edit.at.end;
    }
    result.push_str(text.get(from..).ok_or("its parts overlap")?);
    Ok(result)
}

/// `to: legacy` stays a plain name when the route still goes to one backend, and becomes shares otherwise. The present
/// backend comes first, so that a reader of the difference sees its share fall.
fn one(name: &str, at: &Range<usize>, moves: &Moves) -> Vec<Edit> {
    let kinds: Vec<String> =
        moves.kinds().iter().map(|of| format!("{}: {}", of.kind.as_str(), of.backend)).collect();
    let all = Shares::whole(name);
    let shares = moves.shares().unwrap_or(&all);
    let whole = shares.iter().find(|(_, weight)| *weight == edge_config::edge::WHOLE);
    let with = match whole {
        Some((all, _)) if shares.iter().count() == 1 && kinds.is_empty() => all.to_owned(),
        Some(_) | None => {
            let mut named: Vec<_> = shares.iter().collect();
            named.sort_by_key(|(backend, _)| *backend != name);
            let mut written: Vec<_> =
                named.iter().map(|(backend, weight)| format!("{backend}: {weight}")).collect();
            if shares.iter().all(|(backend, _)| backend != name) {
                written.insert(0, format!("{name}: 0"));
            }
            written.splice(0..0, kinds);
            format!("{{ {} }}", written.join(", "))
        }
    };
    vec![Edit { at: at.clone(), with }]
}

/// Weights change in place; a new backend comes after the last one. No backend is removed: one with a share of 0 may get
/// requests again, and identities stay valid for it until then.
fn many(text: &str, present: &[Share], flow: bool, shares: &Shares) -> Result<Vec<Edit>, String> {
    let mut edits: Vec<Edit> = present
        .iter()
        .map(|share| Edit { at: share.weight.clone(), with: shares.weight_of(&share.name).to_string() })
        .filter(|edit| text.get(edit.at.clone()) != Some(edit.with.as_str()))
        .collect();
    let new = shares.iter().filter(|(name, _)| present.iter().all(|share| share.name != *name));
    let new: Vec<_> = new.map(|(name, weight)| format!("{name}: {weight}")).collect();
    if new.is_empty() {
        return Ok(edits);
    }
    let last = present.last().ok_or("it names no backend")?;
    let edit = if flow {
        // Directly after the last weight; a replacement of that weight itself comes before it.
        Edit { at: last.weight.end..last.weight.end, with: format!(", {}", new.join(", ")) }
    } else {
        let before = text.get(..last.key).ok_or("its place is not known")?;
        let indent = before.rsplit('\n').next().unwrap_or_default();
        if !indent.bytes().all(|b| b == b' ') {
            return Err("its last share is on a line with other text".to_owned());
        }
        // After the line of the last one, so that a comment there stays with its share.
        let rest = text.get(last.weight.end..).ok_or("its place is not known")?;
        let line = rest.find('\n').unwrap_or(rest.len());
        let line = rest.get(..line).unwrap_or_default();
        let end = last.weight.end + line.strip_suffix('\r').unwrap_or(line).len();
        let newline = if line.ends_with('\r') { "\r\n" } else { "\n" };
        Edit { at: end..end, with: new.iter().map(|one| format!("{newline}{indent}{one}")).collect() }
    };
    edits.push(edit);
    Ok(edits)
}

/// A kind's backend changes in place; a new kind comes before all other entries.
fn of_kinds(
    text: &str,
    present: &[Share],
    shares: &[Share],
    flow: bool,
    moved: &[OfKind],
) -> Result<Vec<Edit>, String> {
    let mut edits = Vec::new();
    let mut new = Vec::new();
    for OfKind { kind, backend } in moved {
        match present.iter().find(|of| of.name == kind.as_str()) {
            Some(of) if text.get(of.weight.clone()) == Some(backend.as_str()) => {}
            Some(of) => edits.push(Edit { at: of.weight.clone(), with: backend.clone() }),
            None => new.push(format!("{}: {backend}", kind.as_str())),
        }
    }
    if new.is_empty() {
        return Ok(edits);
    }
    let first = present.iter().chain(shares).map(|share| share.key).min().ok_or("it names no backend")?;
    let between = if flow {
        ", ".to_owned()
    } else {
        let before = text.get(..first).ok_or("its place is not known")?;
        let indent = before.rsplit('\n').next().unwrap_or_default();
        if !indent.bytes().all(|b| b == b' ') {
            return Err("its first entry is on a line with other text".to_owned());
        }
        let newline = if before.ends_with(&format!("\r\n{indent}")) { "\r\n" } else { "\n" };
        format!("{newline}{indent}")
    };
    let with = new.iter().map(|entry| format!("{entry}{between}")).collect();
    edits.push(Edit { at: first..first, with });
    Ok(edits)
}
