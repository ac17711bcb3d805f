//! What a stranger sends to the file host: paths out of the directory, ranges, conditions, forms.

use std::path::Path;

use harness::operations::Operation;

use super::inputs::Hostile;

/// The head of a form with one file.
const HEAD: &[u8] = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
/// The end of a form.
const END: &[u8] = b"\r\n--b--\r\n";
/// The first bytes of a picture.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand more";

/// Fills the directory of pictures: a page, an empty one, a directory that is called like a page, and links that lead out of
/// the directory, to themselves, and to a file that does not exist.
pub(crate) fn prepare(root: &Path) {
    let book = root.join("image/library/1");
    std::fs::create_dir_all(book.join("5.png")).expect("the directory is writable");
    std::fs::write(book.join("1.png"), [PNG, &[0; 1_000]].concat()).expect("the directory is writable");
    std::fs::write(book.join("2.png"), b"").expect("the directory is writable");
    let links = [
        ("3.png", "/etc/passwd"),
        ("4.png", "4.png"),
        ("6.png", "nothing.png"),
        ("7.png", "../../../../../../etc/passwd"),
    ];
    for (name, target) in links {
        std::os::unix::fs::symlink(target, book.join(name)).expect("the directory is writable");
    }
    std::os::unix::fs::symlink("/etc", root.join("out")).expect("the directory is writable");
}

/// Requests for `operation` of the image service, beside those that every operation gets.
pub(crate) fn of(operation: &Operation) -> Vec<Hostile> {
    let page = "/image/library/1/1.png";
    let request = |target: &[u8], headers: &[(&'static str, &[u8])], body: Option<Vec<u8>>| Hostile {
        method: operation.method.clone(),
        target: target.to_vec(),
        headers: headers.iter().map(|(name, value)| (*name, value.to_vec())).collect(),
        body,
    };
    let kind: (&'static str, &[u8]) = ("content-type", b"multipart/form-data; boundary=b");
    let form = (operation.method == "PUT").then(|| [HEAD, PNG, END].concat());
    let with: Vec<(&'static str, &[u8])> = form.iter().map(|_| kind).collect();
    let mut all: Vec<Hostile> = paths().iter().map(|target| request(target, &with, form.clone())).collect();
    if form.is_some() {
        all.extend(
            forms().into_iter().map(|(kind, body)| {
                request(page.as_bytes(), &[("content-type", kind.as_bytes())], Some(body))
            }),
        );
        // A form in the place of a directory, below a file, and behind links.
        for target in ["5.png", "1.png/2.png", "3.png", "4.png", "6.png", "7.png"] {
            let target = format!("/image/library/1/{target}");
            all.push(request(target.as_bytes(), &with, form.clone()));
        }
    } else {
        for (name, value) in conditions() {
            all.push(request(page.as_bytes(), &[(name, &value)], None));
            all.push(request(b"/image/library/1/2.png", &[(name, &value)], None));
        }
        let twice: [(&'static str, &[u8]); 2] = [("range", b"bytes=0-1"), ("range", b"bytes=4-5")];
        all.push(request(page.as_bytes(), &twice, None));
    }
    all
}

fn paths() -> Vec<Vec<u8>> {
    let fixed = [
        "/",
        "//",
        "/..",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/image/library/1/../../../../etc/passwd",
        "/image/library/1/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/image/library/1/%2e%2e%2f1.png",
        "/image/library/1/%252e%252e%252f1.png",
        "/image/library/1/..%5c1.png",
        "/image/library/1/..;/1.png",
        "/image/library/1/%c0%ae%c0%ae/1.png",
        "/image/library/1/1.png%00",
        "/image/library/1/%001.png",
        "/image/library/1/1.png%00.txt",
        "/image/library/1/%0d%0ax-injected:%201",
        "/image/library/1/1.png/",
        "/image/library/1//1.png",
        "/image/library/1/./1.png",
        "/image/library/1/1.png/1.png",
        "/image/library/1/3.png",
        "/image/library/1/4.png",
        "/image/library/1/5.png",
        "/image/library/1/6.png",
        "/image/library/1/7.png",
        "/image/library/1/5.png/@",
        "/image/library/1/1.png/@",
        "/image/library/1/4.png/@",
        "/image/library/1/@/@",
        "/out/passwd",
        "/out/@",
        "/v1/v1/image/library/1/1.png",
        "/v1",
        "/v1/",
        "/@",
        "/image/library/1/.png",
        "/image/library/1/.sync",
        "/image/library/1/1",
        "/image/library/1/%ff.png",
        "/image/library/1/%F0%9F%92%A9.png",
        "/image/library/99999999999999999999/1.png",
        "/image/library/-1/1.png",
        "/image/library/1/image_list?madome-2022=%00&madome-2022",
        "/image/library/1/@?visible-thumbnail=%ff&visible-thumbnail=true",
        "http://elsewhere.test/image/library/1/1.png",
        "*",
    ];
    let mut all: Vec<Vec<u8>> = fixed.iter().map(|path| path.as_bytes().to_vec()).collect();
    all.push(b"/image/library/1/\xff\xfe.png".to_vec());
    for long in [
        format!("/image/library/1/{}.png", "x".repeat(251)),
        format!("/image/library/1/{}.png", "x".repeat(252)),
        format!("/image/library/1/{}.png", "x".repeat(30_000)),
        format!("{}/1.png", "/x".repeat(16)),
        format!("{}/1.png", "/x".repeat(5_000)),
        format!("/{}/1.png", vec!["x".repeat(255); 16].join("/")),
        format!("/image/library/1/{}", "%2e%2e%2f".repeat(1_000)),
    ] {
        all.push(long.into_bytes());
    }
    all
}

fn conditions() -> Vec<(&'static str, Vec<u8>)> {
    let ranges = [
        "bytes=",
        "bytes=-",
        "bytes=--1",
        "bytes=-0",
        "bytes=-1",
        "bytes=0-",
        "bytes=0-0",
        "bytes=5-1",
        "bytes=99999-",
        "bytes=0-18446744073709551615",
        "bytes=18446744073709551615-",
        "bytes=0-18446744073709551616",
        "bytes=-18446744073709551616",
        "bytes=-99999999999999999999999",
        "bytes=0-9,5-14,0-9",
        "bytes=0-9, ,,-1",
        "bytes=0-9,nonsense",
        "bytes 0-9",
        "items=0-9",
        "BYTES=0-9",
        "bytes=0x0-0x9",
        "bytes=1e3-",
        "bytes=0-9;q=1",
    ];
    let many = |one: &str, times: usize| format!("bytes={}", vec![one; times].join(","));
    let long = [many("0-0", 17), many("0-0", 5_000), many("0-", 5_000), many("-1", 5_000)];
    let range = ranges.iter().map(|text| (*text).to_owned()).chain(long);
    let mut all: Vec<(&'static str, Vec<u8>)> = range.map(|text| ("range", text.into_bytes())).collect();
    all.push(("range", b"bytes=\xff-\xfe".to_vec()));
    for name in ["if-range", "if-none-match", "if-match", "if-modified-since", "if-unmodified-since"] {
        for value in [
            &b""[..],
            b"*",
            b"\"",
            b"W/\"\"",
            b"\"a\", W/\"b\", ",
            b"Thu, 01 Jan 1970 00:00:00 GMT",
            b"Fri, 31 Dec 9999 23:59:59 GMT",
            b"Mon, 99 Foo 0000 99:99:99 GMT",
            b"\xff",
        ] {
            all.push((name, value.to_vec()));
        }
        all.push((name, "\"x\",".repeat(3_000).into_bytes()));
    }
    all
}

/// Content types and bodies of uploads.
fn forms() -> Vec<(String, Vec<u8>)> {
    let kind = "multipart/form-data; boundary=b";
    let good = [HEAD, PNG, END].concat();
    let part = |head: &[u8], bytes: &[u8]| [b"--b\r\n", head, b"\r\n\r\n", bytes, END].concat();
    let mut all: Vec<(String, Vec<u8>)> = [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"",
        "multipart/form-data; boundary=c",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/mixed; boundary=b",
        "application/x-www-form-urlencoded",
        "application/json",
        "image/png",
        "\u{ff}",
    ]
    .iter()
    .map(|kind| ((*kind).to_owned(), good.clone()))
    .collect();
    all.push((format!("multipart/form-data; boundary={}", "b".repeat(20_000)), good));
    let disposition = |text: &str| part(format!("content-disposition: {text}").as_bytes(), PNG);
    let mut flood = HEAD.to_vec();
    flood.truncate(flood.len() - 2);
    flood.extend("x-a: 1\r\n".repeat(5_000).bytes());
    let bodies = [
        Vec::new(),
        b"\r\n".to_vec(),
        b"--b".to_vec(),
        b"--b--\r\n".to_vec(),
        HEAD.to_vec(),
        [HEAD, PNG].concat(),
        [HEAD, PNG, b"\r\n--b"].concat(),
        [HEAD, PNG, b"\r\n--b\r\n"].concat(),
        [HEAD, END].concat(),
        // A file that is not of its format, and more than one file.
        [HEAD, b"<script>alert(1)</script>", END].concat(),
        [HEAD, b"\x89P", END].concat(),
        [HEAD, PNG, b"\r\n", HEAD, b"GIF89a", END].concat(),
        part(b"", PNG),
        part(b"content-type: image/png", PNG),
        part(b"\xff\xfe: \xff", PNG),
        part(b"content-disposition", PNG),
        part(b"content-disposition: form-data; name=\"\xff\"; filename=\"\x00\"", PNG),
        part(b"content-disposition: form-data; name=\"file\"\r\ncontent-length: 99999999999999999999", PNG),
        part(b"content-disposition: form-data; name=\"file\"\r\ncontent-length: -1", PNG),
        part(b"content-disposition: form-data; name=\"file\"\r\ncontent-transfer-encoding: base64", PNG),
        disposition("form-data; name=\"file\"; filename=\"../../../../etc/passwd\""),
        disposition("form-data; name=\"file\"; filename*=UTF-8''%00"),
        disposition("form-data"),
        disposition("attachment"),
        disposition(&format!("form-data; name=\"{}\"", "x".repeat(20_000))),
        flood,
        b"--b\r\n".repeat(5_000),
        b"\r\n--b\r\n\r\n".repeat(5_000),
        vec![0; 100_000],
    ];
    all.extend(bodies.into_iter().map(|body| (kind.to_owned(), body)));
    all
}
