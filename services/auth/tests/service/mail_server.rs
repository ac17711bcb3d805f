//! Login codes through a mail server and through Amazon SES, each played by a small server that records what it is given.

use std::sync::{Arc, Mutex};

use auth::settings::Settings;
use auth::settings::mail::{Sender, Ses, Smtp};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use kit::testing::Wire;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::app::{Answer, TestApp};

const EMAIL: &str = "demo@example.com";

/// One mail: the sender, the recipients and the lines of its text.
#[derive(Clone, Debug, Default)]
struct Received {
    from: String,
    to: Vec<String>,
    lines: Vec<String>,
}

/// How the server answers a recipient.
#[derive(Clone, Copy)]
enum Manner {
    Accept,
    Refuse,
    /// It never answers.
    Silent,
}

/// A mail server on this machine.
#[derive(Clone)]
struct Recorder {
    mails: Arc<Mutex<Vec<Received>>>,
    manner: Arc<Mutex<Manner>>,
    url: String,
}

impl Recorder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let recorder = Self { mails: Arc::default(), manner: Arc::new(Mutex::new(Manner::Accept)), url };
        let serving = recorder.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        recorder
    }

    fn mails(&self) -> Vec<Received> {
        self.mails.lock().unwrap().clone()
    }

    fn answers(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The few commands of RFC 5321 that a client without extensions sends.
    async fn serve(self, stream: TcpStream) {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut mail = Received::default();
        writer.write_all(b"220 recorder\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            let manner = *self.manner.lock().unwrap();
            let answer = match line.split(':').next().unwrap() {
                "MAIL FROM" => {
                    mail.from = line;
                    "250 yes"
                }
                "RCPT TO" => match manner {
                    Manner::Accept => {
                        mail.to.push(line);
                        "250 yes"
                    }
                    Manner::Refuse => "550 no such mailbox",
                    Manner::Silent => std::future::pending().await,
                },
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await.unwrap();
                    while let Ok(Some(line)) = lines.next_line().await {
                        if line == "." {
                            break;
                        }
                        mail.lines.push(line);
                    }
                    self.mails.lock().unwrap().push(std::mem::take(&mut mail));
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 hello",
            };
            if writer.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn with_server() -> (TestApp, Recorder) {
    let recorder = Recorder::start().await;
    let mail = Some(Sender::Smtp(Smtp {
        url: recorder.url.clone(),
        from: "verify@dev-domain.test".to_owned(),
        ca: None,
    }));
    let app = TestApp::with(|settings| Settings { mail, ..settings }).await;
    (app, recorder)
}

/// The code in a mail: the one line of twelve characters.
fn code(mail: &Received) -> String {
    let code = mail.lines.iter().map(|line| line.trim()).find(|line| line.len() == 12 && !line.contains(' '));
    code.unwrap().to_owned()
}

#[tokio::test]
async fn a_code_is_mailed_to_one_person_and_signs_in() {
    let (app, recorder) = with_server().await;
    assert_eq!(app.request_code(EMAIL).await, Answer::text(201, ""));
    let mails = recorder.mails();
    let [mail] = &mails[..] else { unreachable!("{mails:?}") };
    assert_eq!(mail.from, "MAIL FROM:<verify@dev-domain.test>");
    assert_eq!(mail.to, ["RCPT TO:<demo@example.com>"]);
    for line in [
        "From: verify@dev-domain.test",
        "To: demo@example.com",
        "Subject: Your login code",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(mail.lines.iter().any(|one| one == line), "{line} is not in {mail:?}");
    }
    let date = mail.lines.iter().find(|line| line.starts_with("Date: ")).unwrap();
    assert!(date.starts_with("Date: Fri, 20 Nov 2026 00:00:00"), "by the clock of the service: {date}");
    let code = code(mail);
    assert!(mail.lines.iter().any(|line| line.contains(&format!("madome:///auth?value={code}"))), "{mail:?}");
    assert!(app.mail(EMAIL).is_empty(), "no file has the code");
    assert_eq!(app.login_with(EMAIL, &code).await.status, 201);
}

#[tokio::test]
async fn an_unusual_address_gets_its_mail() {
    let (app, recorder) = with_server().await;
    app.people.set(".a..b.@docomo.test", crate::app::DEMO, 0);
    assert_eq!(app.request_code(".a..b.@docomo.test").await.status, 201);
    assert_eq!(recorder.mails()[0].to, ["RCPT TO:<\".a..b.\"@docomo.test>"]);
}

#[tokio::test]
async fn a_code_that_could_not_be_mailed_keeps_no_place() {
    let (app, recorder) = with_server().await;
    recorder.answers(Manner::Refuse);
    for _ in 0..6 {
        let refused = app.request_code(EMAIL).await;
        assert_eq!(refused, Answer::text(500, "Internal server error"), "not 429: no code is alive");
    }
    recorder.answers(Manner::Accept);
    assert_eq!(app.request_code(EMAIL).await.status, 201);
    assert_eq!(recorder.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_answer_has_an_end() {
    let (app, recorder) = with_server().await;
    recorder.answers(Manner::Silent);
    let asked = tokio::time::timeout(std::time::Duration::from_secs(30), app.request_code(EMAIL)).await;
    assert_eq!(asked.unwrap(), Answer::text(500, "Internal server error"));
    recorder.answers(Manner::Accept);
    assert_eq!(app.request_code(EMAIL).await.status, 201);
}

/// What SES receives, and how it answers.
type Requests = Arc<Mutex<(StatusCode, Vec<(HeaderMap, Value)>)>>;

async fn record(State(requests): State<Requests>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let mut requests = requests.lock().unwrap();
    requests.1.push((headers, serde_json::from_str(&body).unwrap()));
    (requests.0, json!({ "MessageId": "0100" }).to_string())
}

#[tokio::test]
async fn a_code_is_mailed_through_ses_with_a_signed_request() {
    let requests: Requests = Arc::new(Mutex::new((StatusCode::OK, Vec::new())));
    let router =
        Router::new().route("/v2/email/outbound-emails", post(record)).with_state(Arc::clone(&requests));
    let server = Wire::start(router).await;
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("ses");
    secret_file::write(&key, b"AKIDEXAMPLE\nhunter2\n").unwrap();
    let url = Some(format!("http://{}", server.address()));
    let (from, region) = ("verify@dev-domain.test".to_owned(), "eu-central-1".to_owned());
    let mail = Some(Sender::Ses(Ses { from, key, region, url }));
    let app = TestApp::with(|settings| Settings { mail, ..settings }).await;

    assert_eq!(app.request_code(EMAIL).await, Answer::text(201, ""));
    let (headers, body) = requests.lock().unwrap().1.pop().unwrap();
    let signed = headers["authorization"].to_str().unwrap();
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/eu-central-1/ses/"),
        "{signed}"
    );
    assert_eq!(body["FromEmailAddress"], "verify@dev-domain.test");
    assert_eq!(body["Destination"], json!({ "ToAddresses": [EMAIL] }));
    let content = &body["Content"]["Simple"];
    assert_eq!(content["Subject"]["Data"], "Your login code");
    let lines = content["Body"]["Text"]["Data"].as_str().unwrap().lines().map(str::to_owned).collect();
    let code = code(&Received { lines, ..Received::default() });
    assert_eq!(app.login_with(EMAIL, &code).await.status, 201);

    requests.lock().unwrap().0 = StatusCode::BAD_REQUEST;
    for _ in 0..6 {
        assert_eq!(app.request_code(EMAIL).await.status, 500, "not 429: no code is alive");
    }
    requests.lock().unwrap().0 = StatusCode::OK;
    assert_eq!(app.request_code(EMAIL).await.status, 201);
}
