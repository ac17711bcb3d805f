//! The one rule for text that other people see: names and handles.
//!
//! Two names that look the same must not be different names. So a text is stored and compared in one form:
//! NFC (Unicode Standard Annex #15), without white space at its ends. A name contains no invisible character:
//! no controls (also NUL, which PostgreSQL does not store), no format characters (bidirectional ones can
//! reorder the text beside them, zero-width ones make different names look the same), no line and paragraph
//! separators, and no blank letters.

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Letters and symbols without a shape: the fillers of Hangul, and the empty pattern of Braille. Their
/// category does not show this.
const BLANKS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// A text contains an invisible character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has the character U+{:04X}, which cannot be seen", u32::from(*.0))]
pub struct Unseen(pub char);

/// Returns the normal form of `text`.
///
/// # Errors
/// [`Unseen`], with the first invisible character.
pub fn normal(text: &str) -> Result<String, Unseen> {
    let normal: String = text.trim().nfc().collect();
    match normal.chars().find(|c| is_unseen(*c)) {
        Some(unseen) => Err(Unseen(unseen)),
        None => Ok(normal),
    }
}

/// Returns whether `text` is already in normal form.
#[must_use]
pub fn is_normal(text: &str) -> bool {
    normal(text).is_ok_and(|normal| normal == text)
}

fn is_unseen(c: char) -> bool {
    let category = c.general_category();
    let is_sign = matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    is_sign || BLANKS.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for (text, expected) in [
            ("Demo", "Demo"),
            (" Demo\u{a0}", "Demo"),
            ("Zoe\u{308}", "Zo\u{eb}"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
            ("\u{212b}", "\u{c5}"),
            ("\u{4e00} \u{4e8c}", "\u{4e00} \u{4e8c}"),
            ("\u{2764}\u{fe0f}", "\u{2764}\u{fe0f}"),
            ("   ", ""),
        ] {
            assert_eq!(normal(text).as_deref(), Ok(expected), "{text:?}");
            assert_eq!(is_normal(text), text == expected, "{text:?}");
        }
    }

    #[test]
    fn invisible_characters_are_removed_from_a_name() {
        let unseen = [
            // Controls.
            '\0',
            '\u{1}',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            // Bidirectional: marks, embeddings, overrides, isolates.
            '\u{61c}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            // Of zero width.
            '\u{ad}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{2060}',
            '\u{feff}',
            '\u{180e}',
            // Separators, tags, annotations, musical signs.
            '\u{2028}',
            '\u{2029}',
            '\u{e0041}',
            '\u{fff9}',
            '\u{1d173}',
            // Letters without a shape.
            '\u{115f}',
            '\u{1160}',
            '\u{2800}',
            '\u{3164}',
            '\u{ffa0}',
        ];
        for c in unseen {
            assert_eq!(normal(&format!("De{c}mo")), Err(Unseen(c)), "U+{:04X}", u32::from(c));
        }
        assert_eq!(Unseen('\u{202e}').to_string(), "has the character U+202E, which cannot be seen");
    }
}
