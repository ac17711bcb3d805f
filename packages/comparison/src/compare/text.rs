//! Compares texts word by word; the words before a difference are its place.

use edge_config::edge::DifferenceKind;

use super::Found;

/// The length of the text before a difference that makes its place: enough for `name="csrf" content="`.
const CONTEXT_BYTES: usize = 32;

/// A page has tens of thousands of words; beyond this the rest is one word.
const MAX_WORDS: usize = 200_000;

pub(super) fn compare(one: &str, other: &str, found: &mut Found) {
    let (ours, theirs) = (words(one), words(other));
    if ours.len() == theirs.len() {
        let differs: Vec<bool> = ours.iter().zip(&theirs).map(|(a, b)| a != b).collect();
        for (at, (one, other)) in ours.iter().zip(&theirs).enumerate().filter(|(_, (a, b))| a != b) {
            add(&context(&ours, &differs, at), one, other, found);
        }
        return;
    }
    // Words were added or removed: everything between the common beginning and the common end differs.
    let start = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let rest = ours.len().min(theirs.len()) - start;
    let same_end = ours.iter().rev().zip(theirs.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let middle = |words: &[&str]| words.get(start..words.len() - same_end).unwrap_or_default().concat();
    add(&context(&ours, &[], start), &middle(&ours), &middle(&theirs), found);
}

fn add(place: &str, one: &str, other: &str, found: &mut Found) {
    found.add(DifferenceKind::BodyText, place, Some(one.into()), Some(other.into()));
}

/// Runs of the characters of tokens and numbers, and every other character by itself.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if words.len() >= MAX_WORDS {
            rest.len()
        } else if is_part(first) {
            rest.find(|c: char| !is_part(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '+')
}

/// The whole words before `at`; a word that differs itself, or is long, is written as `…`.
fn context(words: &[&str], differs: &[bool], at: usize) -> String {
    let mut left = CONTEXT_BYTES;
    let mut taken = Vec::new();
    for (index, word) in words.iter().enumerate().take(at).rev() {
        let shown =
            if differs.get(index) == Some(&true) || word.len() > CONTEXT_BYTES { "…" } else { word };
        if shown.len() > left {
            break;
        }
        left -= shown.len();
        taken.push(shown);
    }
    taken.reverse();
    taken.concat()
}
