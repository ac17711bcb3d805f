//! The formats of files.

use image::ImageFormat;

/// The format of a file, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `.avif`
    Avif,
    /// `.gif`
    Gif,
    /// `.jpg`, `.jpeg`
    Jpeg,
    /// `.png`
    Png,
    /// `.webp`
    Webp,
    /// `.txt`: the list of addresses that older crawlers keep beside the pictures.
    List,
}

/// How many bytes [`Format::fits`] looks at.
pub const HEAD_BYTES: usize = 64;

impl Format {
    /// Returns the format of the file `name`. Other files are never served.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        if stem.is_empty() {
            return None;
        }
        match extension.to_ascii_lowercase().as_str() {
            "avif" => Some(Self::Avif),
            "gif" => Some(Self::Gif),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::Webp),
            "txt" => Some(Self::List),
            _ => None,
        }
    }

    /// Returns the value of `content-type`.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Avif => "image/avif",
            Self::Gif => "image/gif",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::List => "text/plain; charset=utf-8",
        }
    }

    /// Returns the format as the library of pictures names it. A list is none.
    #[must_use]
    pub const fn picture(self) -> Option<ImageFormat> {
        match self {
            Self::Avif => Some(ImageFormat::Avif),
            Self::Gif => Some(ImageFormat::Gif),
            Self::Jpeg => Some(ImageFormat::Jpeg),
            Self::Png => Some(ImageFormat::Png),
            Self::Webp => Some(ImageFormat::WebP),
            Self::List => None,
        }
    }

    /// Reports whether a file that begins with `head` ([`HEAD_BYTES`] of it) can have this format. A page of HTML that is
    /// called `1.png` would be run by a browser that guesses types.
    #[must_use]
    pub fn fits(self, head: &[u8]) -> bool {
        match self.picture() {
            Some(format) => image::guess_format(head).is_ok_and(|found| found == format),
            None => head.first() != Some(&b'<') && !head.contains(&0),
        }
    }
}
