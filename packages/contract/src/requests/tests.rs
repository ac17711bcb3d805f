use super::*;

fn read_one(name: &str, text: &str) -> Result<Set, SetError> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(name);
    std::fs::write(&path, text).unwrap();
    read(&path, &BTreeMap::from([("who".to_owned(), "a b".to_owned())]))
}

fn shown(set: &Set) -> Vec<String> {
    set.requests.iter().map(|one| format!("{} {}", one.name, one.shown())).collect()
}

#[test]
fn hurl_entries_become_requests_and_answers_are_not_read() {
    let text = "# A comment.\nGET {{api}}/books?a=1\nX-A: b\nHTTP 200\n[Asserts]\nheader \"x\" == \"GET /no\"\n```\nGET /nor-this\n```\n\nPOST http://h.test:1/form\n[Form]\nn: {{who}}&\nHTTP 201\n\nPOST /json\n{\"a\": {\n  \"b\": 1 }}\nHTTP *\n\nPUT /text\n`one {{who}}`\n\nPOST /fence\n```json\n{}\n```\nHTTP 200\nGET /needs/{{absent}}\nGET /c\nCookie: sid={{sid}}\n[Query]\nq: ä\n";
    let set = read_one("a.hurl", text).unwrap();
    let expected = [
        "get-books-a-1 GET /books?a=1",
        "post-form POST /form",
        "post-json POST /json",
        "put-text PUT /text",
        "post-fence POST /fence",
        "get-c-q-c3-a4 GET /c?q=%C3%A4",
    ];
    assert_eq!(shown(&set), expected);
    let [first, form, json, text, fence, last] = set.requests.as_slice() else { panic!() };
    assert_eq!((first.headers.len(), first.host.as_deref()), (1, None));
    assert_eq!((form.host.as_deref(), form.body.as_slice()), (Some("h.test:1"), b"n=a%20b%26".as_slice()));
    assert_eq!(json.body, b"{\"a\": {\n  \"b\": 1 }}");
    assert_eq!((text.body.as_slice(), fence.body.as_slice()), (b"one a b".as_slice(), b"{}\n".as_slice()));
    assert_eq!(last.headers, []);
    assert_eq!(set.skipped.len(), 1);
    assert!(set.skipped[0].contains("it needs the variable `absent`"), "{:?}", set.skipped);
    assert!(set.generated.is_empty());
    for (wrong, expected) in [
        ("X: 1\n", ":1: `X: 1` stands before"),
        ("GET /a\nno header\n", ":2: the line is neither a header nor a body"),
        ("GET /a\n```\nx", ":2: the body has no end"),
    ] {
        let error = read_one("a.hurl", wrong).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_form_of_parts_is_sent_as_hurl_sends_it() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("cover.png"), [0x89, b'P', 0, b'\n']).unwrap();
    let text = "POST {{api}}/upload\n[Multipart]\ntitle: of {{who}}\ncover: file,cover.png;\nnote: file,cover.png; text/x\nHTTP 201\n";
    let path = home.path().join("a.hurl");
    std::fs::write(&path, text).unwrap();
    let set = read(&path, &BTreeMap::from([("who".to_owned(), "a b".to_owned())])).unwrap();
    let [upload] = set.requests.as_slice() else { panic!("{:?}", set.skipped) };
    let kind = String::from_utf8(upload.headers[0].value.clone()).unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |head: &str, content: &[u8]| {
        [
            format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
            content,
            b"\r\n",
        ]
        .concat()
    };
    let file = [0x89, b'P', 0, b'\n'];
    let expected = [
        part("name=\"title\"", b"of a b"),
        part("name=\"cover\"; filename=\"cover.png\"\r\nContent-Type: image/png", &file),
        part("name=\"note\"; filename=\"cover.png\"\r\nContent-Type: text/x", &file),
        format!("--{boundary}--\r\n").into_bytes(),
    ];
    assert_eq!(upload.body, expected.concat());
    let absent = "POST /upload\n[Multipart]\ncover: file,absent.png;\n";
    assert!(read_one("a.hurl", absent).unwrap_err().to_string().contains(":3: the file"));
}

#[test]
fn a_recording_gives_requests_without_its_credentials() {
    let text = r#"{"log":{"entries":[
        {"request":{"method":"GET","url":"https://api.test/a?b#c","headers":[{"name":":authority","value":"x"},{"name":"Cookie","value":"sid=1"},{"name":"Accept","value":"*/*"},{"name":"Host","value":"api.test"}]}},
        {"request":{"method":"POST","url":"https://api.test/a","headers":[],"postData":{"text":"{}"}}},
        {"request":{"method":"GET","url":"data:text/plain,x","headers":[]}}]}}"#;
    let set = read_one("a.har", text).unwrap();
    assert_eq!(shown(&set), ["get-a-b GET /a?b", "post-a POST /a"]);
    assert_eq!((set.requests[0].headers.len(), set.requests[0].host.as_deref()), (1, Some("api.test")));
    assert_eq!((set.requests[1].body.as_slice(), set.skipped.len()), (b"{}".as_slice(), 2));
    assert_eq!(read_one("a.json", text).unwrap().requests.len(), 2);
    assert!(read_one("a.har", "{}").unwrap_err().to_string().contains("export the archive again"));
}

#[test]
fn a_recorded_form_is_sent_also_where_the_archive_has_only_its_fields() {
    let entry = |data: &str| {
        let headers = r#"[{"name":"content-type","value":"multipart/form-data; boundary=old"}]"#;
        let request = r#""method":"POST","url":"https://u:p@api.test/a""#;
        format!(
            "\u{feff}{{\"log\":{{\"entries\":[{{\"request\":{{{request},\"headers\":{headers},\"postData\":{data}}}}}]}}}}"
        )
    };
    let sent = |data: &str| -> Result<(String, String), String> {
        let set = read_one("a.har", &entry(data)).unwrap();
        let [request] = set.requests.as_slice() else { return Err(set.skipped.join("")) };
        assert_eq!(request.host.as_deref(), Some("api.test"));
        let kind = String::from_utf8_lossy(&request.headers[0].value).into_owned();
        Ok((kind, String::from_utf8_lossy(&request.body).into_owned()))
    };
    let form = r#"{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a b","value":"c%26d"},{"name":"e","value":""}]}"#;
    assert_eq!(sent(form).unwrap().1, "a%20b=c%26d&e=");
    let (kind, body) =
        sent(r#"{"mimeType":"multipart/form-data","params":[{"name":"a","value":"1"}]}"#).unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(boundary != "old" && body.starts_with(&format!("--{boundary}\r\n")), "{body}");
    assert_eq!(sent(r#"{"text":"aGk=","encoding":"base64"}"#).unwrap().1, "hi");
    let file = r#"{"mimeType":"multipart/form-data","params":[{"name":"a","fileName":"b.png"}]}"#;
    assert!(sent(file).unwrap_err().contains("its body has a file"));
}

#[test]
fn bodies_comments_and_options_of_hurl_are_sent_as_hurl_sends_them() {
    let text = "POST {{api}}/j # the first\nX-Note: a\\#b\\u{e9} # why\n[Options]\nvariable: id=7\nretry: 3\n{\n  \"id\": {{id}}\n}\n# next\n\n\
                POST {{api}}/x/{{id}}\n<a/>\nHTTP 200\n[Captures]\ntoken: jsonpath \"$.t\"\n\n\
                POST {{api}}/g\n```graphql\nquery Q($a: Int) { b }\nvariables {\"a\": {{id}}}\n```\n\n\
                POST {{api}}/r\nContent-Type: text/csv\n```raw\n{{id}}\n```\n\n\
                GET {{api}}/s\n[Options]\nskip: true\n\nGET {{api}}/t/{{token}}\n\nGET {{api}}/u\n[Options]\nuser: bob:pw\n";
    let set = read_one("a.hurl", text).unwrap();
    assert_eq!(
        shown(&set),
        ["post-j POST /j", "post-x-7 POST /x/7", "post-g POST /g", "post-r POST /r", "get-u GET /u"]
    );
    let sent: Vec<(String, String)> = set
        .requests
        .iter()
        .map(|one| {
            let lines = one.headers.iter().map(|line| {
                format!("{}={}", String::from_utf8_lossy(&line.name), String::from_utf8_lossy(&line.value))
            });
            (lines.collect::<Vec<_>>().join(" "), String::from_utf8_lossy(&one.body).into_owned())
        })
        .collect();
    let expected = [
        ("X-Note=a#bé Content-Type=application/json", "{\n  \"id\": 7\n}"),
        ("Content-Type=application/xml", "<a/>"),
        ("Content-Type=application/json", r#"{"query":"query Q($a: Int) { b }","variables":{"a": 7}}"#),
        ("Content-Type=text/csv", "{{id}}\n"),
        ("Authorization=Basic Ym9iOnB3", ""),
    ];
    assert_eq!(sent, expected.map(|(lines, body)| (lines.to_owned(), body.to_owned())));
    assert!(set.skipped.iter().any(|one| one.contains("`skip`")), "{:?}", set.skipped);
    assert!(set.skipped.iter().any(|one| one.contains("`token`")), "{:?}", set.skipped);
}

#[test]
fn a_file_sends_no_other_request_than_it_shows_and_names_no_file_elsewhere() {
    let header = |name: &str, value: &str| {
        format!(r#""method":"GET","url":"http://a.test/a","headers":[{{"name":"{name}","value":"{value}"}}]"#)
    };
    for request in [
        header("A\\r\\nB", "1"),
        header("A", "1\\r\\n\\r\\nGET /b HTTP/1.1"),
        r#""method":"GET /x HTTP/1.1\r\n\r\nGET","url":"http://a.test/a","headers":[]"#.to_owned(),
        r#""method":"GET","url":"http://a.test/a b","headers":[]"#.to_owned(),
        r#""method":"GET","url":"http://a\r\nB: c/a","headers":[]"#.to_owned(),
    ] {
        let text = format!(r#"{{"log":{{"entries":[{{"request":{{{request}}}}}]}}}}"#);
        let set = read_one("a.har", &text).unwrap();
        assert_eq!((set.requests.len(), set.skipped.len()), (0, 1), "{request}");
    }
    let text = "openapi: 3.0.0\npaths: { /a: { get: { operationId: ../../../a } } }\n";
    assert_eq!(shown(&read_one("api.yaml", text).unwrap()), ["a GET /a"]);
    let golden = "# cutover contract 1\nname: a\nsource: a:1\nprotocol: h1\n\n> GET /a HTTP/1.1\n> Host: a\n> A: b\\x0d\\x0aC: d\n\n< HTTP/1.1 204 No Content\nframing: none\n";
    let error = read_one("a.http", golden).unwrap_err().to_string();
    assert!(error.contains("a character that ends a line"), "{error}");
}

#[test]
fn an_access_log_gives_each_safe_request_once() {
    let text = "{\"method\":\"GET\",\"host\":\"a\",\"path\":\"/x\"}\n{\"method\":\"GET\",\"host\":\"a\",\"path\":\"/x\"}\n{\"method\":\"POST\",\"host\":\"a\",\"path\":\"/x\"}\ncut\n";
    let set = read_one("access.json", text).unwrap();
    assert_eq!((shown(&set), set.skipped.len()), (vec!["get-x GET /x".to_owned()], 2));
    assert!(set.generated.contains("get-x"));
    assert!(read_one("access.log", "no\n").unwrap_err().to_string().contains("no line of an access log"));
}

#[test]
fn operations_have_their_examples_or_made_values_always_the_same() {
    let text = r##"
openapi: 3.1.0
servers: [{ url: "https://api.test/v1/" }]
paths:
  /books/{id}:
    parameters: [{ $ref: "#/components/parameters/Id" }]
    get:
      operationId: getBook
      parameters:
        - { name: q, in: query, examples: { one: { value: a b }, two: { value: c } } }
        - { name: made-up, in: query, schema: { type: string } }
    put:
      requestBody:
        content:
          application/json:
            schema: { $ref: "#/components/schemas/Book" }
  /upload:
    post: { requestBody: { content: { image/png: {} } } }
components:
  parameters:
    Id: { name: id, in: path, required: true, schema: { type: integer, minimum: 3 } }
  schemas:
    Book:
      type: object
      required: [title, at, tags]
      properties:
        title: { type: string, minLength: 6 }
        at: { type: string, format: date-time }
        tags: { type: array, items: { enum: [x, y] } }
        parent: { $ref: "#/components/schemas/Book" }
"##;
    let set = read_one("api.yaml", text).unwrap();
    let expected = [
        "getbook GET /v1/books/3?q=a%20b",
        "getbook-2 GET /v1/books/3?q=c",
        "put-v1-books-3 PUT /v1/books/3",
    ];
    assert_eq!(shown(&set), expected);
    let body: serde_json::Value = serde_json::from_slice(&set.requests[2].body).unwrap();
    let made = serde_json::json!({ "title": "textxx", "at": "2026-01-02T03:04:05Z", "tags": ["x"] });
    assert_eq!(body, made);
    assert!(set.skipped.iter().any(|one| one.contains("image/png")), "{:?}", set.skipped);
    assert_eq!(shown(&read_one("api.yaml", text).unwrap()), expected);
    for older in ["openapi: 2.0.0\n", "swagger: '2.0'\n", "swagger: 2.0\n", "{\"swagger\":\"2.0\"}"] {
        let error = read_one("api.yaml", older).unwrap_err().to_string();
        assert!(error.contains("convert it to 3.0"), "{error}");
    }
}

#[test]
fn a_parameter_is_written_in_its_style_and_a_form_in_parts() {
    let text = r#"
openapi: 3.0.3
servers: [{ url: "https://{host}.test/{version}", variables: { host: { default: a }, version: { default: v2 } } }]
paths:
  /a/{ids}/{of}:
    get:
      parameters:
        - { name: ids, in: path, required: true, example: [1, 2] }
        - { name: of, in: path, required: true, explode: true, example: { n: 1, y: "/" } }
        - { name: a1, in: query, example: [x, y] }
        - { name: a2, in: query, explode: false, example: [x, "a,b"] }
        - { name: a3, in: query, style: pipeDelimited, example: [1, 2] }
        - { name: a4, in: query, style: deepObject, example: { no: NO, of: 2 } }
        - { name: a5, in: query, example: { k: v } }
        - { name: a6, in: query, explode: false, example: { k: v } }
        - { name: a7, in: query, content: { application/json: { example: { a: [1.0] } } } }
        - { name: X-Of, in: header, example: { k: v, l: w } }
        - { name: c, in: cookie, example: d }
    post:
      requestBody:
        content:
          multipart/form-data:
            schema: { type: object, required: [n, file], properties: { n: { enum: [N] }, file: { type: string, format: binary } } }
"#;
    let set = read_one("api.yaml", text).unwrap();
    let target = "/v2/a/1,2/n=1,y=%2F?a1=x&a1=y&a2=x,a%2Cb&a3=1%7C2&a4[no]=NO&a4[of]=2&k=v&a6=k,v&a7=%7B%22a%22%3A%5B1.0%5D%7D";
    let [get] = set.requests.as_slice() else { unreachable!("{:?}", set.skipped) };
    assert_eq!(String::from_utf8_lossy(&get.target), target);
    let headers: Vec<String> =
        get.headers.iter().map(|line| String::from_utf8_lossy(&line.value).into()).collect();
    assert_eq!(headers, ["k,v,l,w", "c=d"]);
    assert!(set.skipped.iter().any(|one| one.contains("`ids`")), "{:?}", set.skipped);
    let text = text
        .replace("    get:\n      parameters:\n", "    parameters:\n")
        .replace("        - {", "      - {");
    let set = read_one("api.yaml", &text).unwrap();
    let [post] = set.requests.as_slice() else { unreachable!("{:?}", set.skipped) };
    let body = String::from_utf8_lossy(&post.body);
    assert!(
        body.contains("name=\"n\"\r\n\r\nN\r\n") && body.contains("name=\"file\"\r\n\r\ntext\r\n"),
        "{body}"
    );
}

#[test]
fn other_files_are_refused_by_name_and_skipped_in_a_directory() {
    assert!(read_one("a.txt", "x").unwrap_err().to_string().contains("is not a hurl, HAR"));
    assert!(read(Path::new("/absent"), &BTreeMap::new()).unwrap_err().to_string().contains("check the path"));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("notes.txt"), "x").unwrap();
    std::fs::write(home.path().join("config.yaml"), "a: 1").unwrap();
    let error = read(home.path(), &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("has no requests"), "{error}");
    std::fs::write(home.path().join("b.hurl"), "GET /b\n").unwrap();
    std::fs::write(home.path().join("a.hurl"), "GET /a\nGET /a\n").unwrap();
    let set = read(home.path(), &BTreeMap::new()).unwrap();
    assert_eq!(shown(&set), ["get-a GET /a", "get-a-2 GET /a", "get-b GET /b"]);
}
