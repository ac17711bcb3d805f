//! Files that import each other in a circle.
//!
//! A module and the files below it may name each other: Rust's module tree makes many such pairs, and a reader has both
//! open anyway. So an import of a module *above* is judged by itself:
//!
//! 1. Without the imports of modules above, no files import each other in a circle.
//! 2. With them, a circle stays within one module and the files below it.
//!
//! The root of the crate is above everything and is not such a module: an import of it counts like any other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use crate::imports::Imports;
use crate::tree::Tree;

/// A file, and the line in which it imports the next file of the circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The file.
    pub path: PathBuf,
    /// The line.
    pub line: usize,
}

/// A shortest circle of imports: each file imports the next, the last one the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle(pub Vec<Step>);

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(steps) = self;
        write!(f, "{} files import each other in a circle:", steps.len())?;
        for (number, Step { path, line }) in steps.iter().enumerate() {
            let next = steps.get((number + 1) % steps.len()).map(|step| step.path.display().to_string());
            write!(f, "\n  {}:{line} imports {}", path.display(), next.unwrap_or_default())?;
        }
        write!(f, "\nhelp: move what both ends need into a file below them")
    }
}

/// One circle for each knot of files that import each other.
#[must_use]
pub fn find(tree: &Tree, imports: &Imports) -> Vec<Circle> {
    let down: Imports = imports
        .iter()
        .enumerate()
        .map(|(file, others)| {
            let stays = |other: &usize| !tree.is_above(*other, file);
            others.iter().filter(|(other, _)| stays(other)).map(|(other, line)| (*other, *line)).collect()
        })
        .collect();
    let mut circles: Vec<Circle> =
        knots(&down).iter().filter_map(|knot| shortest(tree, &down, knot, |_| true)).collect();
    for knot in knots(imports) {
        let is_one_room = |files: &BTreeSet<usize>| {
            files.iter().any(|top| files.iter().all(|file| file == top || tree.is_above(*top, *file)))
        };
        if !is_one_room(&knot) {
            circles.extend(shortest(tree, imports, &knot, |circle| !is_one_room(circle)));
        }
    }
    circles.sort_by_key(|Circle(steps)| (steps.len(), steps.first().map(|step| step.path.clone())));
    circles.dedup();
    circles
}

/// Every set of two or more files that reach each other.
fn knots(imports: &Imports) -> Vec<BTreeSet<usize>> {
    let reached: Vec<BTreeSet<usize>> = (0..imports.len()).map(|file| reached(imports, file)).collect();
    let reaches = |from: usize, to: usize| reached.get(from).is_some_and(|reached| reached.contains(&to));
    let mut knots = Vec::new();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for start in 0..imports.len() {
        if seen.contains(&start) {
            continue;
        }
        let mutual = |file: &usize| *file == start || (reaches(start, *file) && reaches(*file, start));
        let knot: BTreeSet<usize> = (0..imports.len()).filter(mutual).collect();
        seen.extend(&knot);
        if knot.len() > 1 {
            knots.push(knot);
        }
    }
    knots
}

/// Every file that `start` imports, directly or not.
fn reached(imports: &Imports, start: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(file) = waiting.pop() {
        for next in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*next) {
                waiting.push(*next);
            }
        }
    }
    reached
}

/// The shortest circle within `knot` that is `wanted`: through each import, the shortest way back.
fn shortest(
    tree: &Tree,
    imports: &Imports,
    knot: &BTreeSet<usize>,
    wanted: impl Fn(&BTreeSet<usize>) -> bool,
) -> Option<Circle> {
    let mut ways = Vec::new();
    for from in knot {
        for to in imports.get(*from)?.keys().filter(|to| knot.contains(to)) {
            ways.extend(way(imports, knot, *to, *from));
        }
    }
    ways.sort_by_key(Vec::len);
    let is_wanted = |way: &&Vec<usize>| wanted(&way.iter().copied().collect());
    // Where no single one is wanted, several that meet make the knot: the shortest of them shows where to begin.
    let best = ways.iter().find(is_wanted).or_else(|| ways.first())?;
    // From the file that comes first by name, so that one circle always has one description.
    let path = |file: &usize| tree.files().get(*file).map(|file| &file.path);
    let mut best = best.clone();
    let first = (0..best.len()).min_by_key(|number| best.get(*number).and_then(path)).unwrap_or(0);
    best.rotate_left(first);
    let steps = best.iter().enumerate().map(|(number, file)| {
        let next = best.get((number + 1) % best.len())?;
        let line = imports.get(*file)?.get(next)?;
        Some(Step { path: tree.files().get(*file)?.path.clone(), line: *line })
    });
    steps.collect::<Option<Vec<_>>>().map(Circle)
}

/// The files of a shortest way from `from` to `to`, both included.
fn way(imports: &Imports, within: &BTreeSet<usize>, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(file) = waiting.pop_front() {
        if file == to {
            let mut files = vec![to];
            while let Some(previous) = files.last().and_then(|file| before.get(file)) {
                files.push(*previous);
            }
            files.reverse();
            return Some(files);
        }
        for next in imports.get(file)?.keys().filter(|next| within.contains(next)) {
            if *next != from && !before.contains_key(next) {
                before.insert(*next, file);
                waiting.push_back(*next);
            }
        }
    }
    None
}
