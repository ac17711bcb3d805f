//! Draws and encodes a made-up picture.

use std::io::Cursor;

use image::codecs::avif::AvifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _, ImageResult, Rgb, RgbImage};

use crate::error::Error;
use crate::format::Format;

/// The formats that can be made up.
pub const FORMATS: [Format; 4] = [Format::Avif, Format::Jpeg, Format::Png, Format::Webp];

/// Width and height of pages, as a ratio: portrait, square, landscape, and a strip to scroll.
const RATIOS: [(u32, u32); 6] = [(2, 3), (5, 7), (3, 4), (1, 1), (4, 3), (1, 2)];

/// The widths of pages, in pixels. Small, because AVIF takes seconds for a megapixel.
const PAGE_WIDTHS: [u32; 3] = [320, 400, 480];

/// The widths of covers.
const THUMBNAIL_WIDTHS: [u32; 2] = [120, 160];

/// The quality of JPEG and AVIF, 1 to 100. Flat colours need no more.
const QUALITY: u8 = 60;

/// AVIF's speed, 1 (smallest) to 10 (fastest).
const AVIF_SPEED: u8 = 10;

/// The most pages of a listing. No page beyond it exists.
pub const MAX_PAGES: u32 = 39;

/// Squares in a row of the pattern. It is mirrored, so that half of them are drawn from the hash.
const SQUARES: u32 = 8;

/// The SHA-256 of a path and the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The page of a book.
    Page,
    /// Its cover, smaller.
    Thumbnail,
}

impl Hash {
    /// Returns it in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the number of pages in a listing, from 8 to [`MAX_PAGES`].
    #[must_use]
    pub fn pages(&self) -> u32 {
        8 + u32::from(self.byte(0)) % (MAX_PAGES - 7)
    }

    /// Returns a byte. The hash repeats after its end.
    fn byte(&self, at: usize) -> u8 {
        self.0.iter().copied().nth(at % 32).unwrap_or_default()
    }

    fn bit(&self, at: u32) -> bool {
        let at = usize::try_from(at).unwrap_or_default();
        self.byte(8 + at / 8) >> (at % 8) & 1 == 1
    }

    fn color(&self, at: usize) -> Rgb<u8> {
        Rgb([self.byte(at), self.byte(at + 1), self.byte(at + 2)])
    }

    /// Returns width and height in pixels.
    #[must_use]
    pub fn size(&self, shape: Shape) -> (u32, u32) {
        let widths: &[u32] = match shape {
            Shape::Page => &PAGE_WIDTHS,
            Shape::Thumbnail => &THUMBNAIL_WIDTHS,
        };
        let width = choose(widths, self.byte(1)).unwrap_or(320);
        let (across, down) = choose(&RATIOS, self.byte(2)).unwrap_or((2, 3));
        (width, width * down / across)
    }
}

fn choose<T: Copy>(from: &[T], byte: u8) -> Option<T> {
    from.get(usize::from(byte) % from.len().max(1)).copied()
}

/// Draws a symmetric pattern of squares in two colours on a third.
#[must_use]
pub fn drawn(hash: &Hash, shape: Shape) -> RgbImage {
    let (width, height) = hash.size(shape);
    let (ground, one, other) = (hash.color(20), hash.color(23), hash.color(26));
    let (column, row) = ((width / SQUARES).max(1), (height / SQUARES).max(1));
    RgbImage::from_fn(width, height, |x, y| {
        let across = (x / column).min(SQUARES - 1);
        let down = (y / row).min(SQUARES - 1);
        let at = down * SQUARES / 2 + across.min(SQUARES - 1 - across);
        match (hash.bit(at), hash.bit(at + SQUARES * SQUARES / 2)) {
            (false, _) => ground,
            (true, false) => one,
            (true, true) => other,
        }
    })
}

/// Draws and encodes a picture. It takes milliseconds, or about a second for AVIF.
///
/// # Errors
/// [`Error::Encoding`].
pub fn encoded(hash: &Hash, shape: Shape, format: Format) -> Result<Vec<u8>, Error> {
    encode(&drawn(hash, shape), format).map_err(|error| Error::Encoding(error.to_string()))
}

fn encode(picture: &RgbImage, format: Format) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    match format {
        // One thread: how many there are changes how AVIF is cut into tiles, and so its bytes.
        Format::Avif => AvifEncoder::new_with_speed_quality(&mut bytes, AVIF_SPEED, QUALITY)
            .with_num_threads(Some(1))
            .write_image(picture, width, height, ExtendedColorType::Rgb8)?,
        Format::Jpeg => JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(
            picture,
            width,
            height,
            ExtendedColorType::Rgb8,
        )?,
        Format::Gif | Format::Png | Format::Webp | Format::List => {
            let format = format.picture().unwrap_or(image::ImageFormat::Png);
            picture.write_to(&mut Cursor::new(&mut bytes), format)?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> Hash {
        Hash([byte; 32])
    }

    #[test]
    fn pictures_have_different_ratios_and_sizes() {
        let sizes: std::collections::BTreeSet<_> =
            (0..=255).map(|byte| hash(byte).size(Shape::Page)).collect();
        assert!(sizes.len() > 5, "{sizes:?}");
        assert!(
            sizes.iter().all(|(width, height)| (320..=480).contains(width) && (240..=960).contains(height))
        );
    }

    #[test]
    fn a_drawing_is_symmetric_and_as_large_as_its_hash_says() {
        let drawn = drawn(
            &Hash(std::array::from_fn(|at| u8::try_from(at * 37 % 251).unwrap_or_default())),
            Shape::Thumbnail,
        );
        let (width, height) = drawn.dimensions();
        assert!((0..height).all(|y| drawn.get_pixel(0, y) == drawn.get_pixel(width - 1, y)));
    }

    #[test]
    fn a_listing_has_8_to_39_pages() {
        assert!((0..=255).all(|byte| (8..40).contains(&hash(byte).pages())));
    }
}
