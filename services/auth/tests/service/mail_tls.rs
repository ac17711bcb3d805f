//! Login codes over TLS to a real mail server: what proves the server, and what it gets when it does not prove itself.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use auth::mail::Mailbox;
use auth::settings::mail::{Sender, Smtp};
use clock::ManualClock;
use harness::authority::{Authority, Pair};
use kit::answer::Chain;
use kit::testing::START;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How the server begins TLS.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// With the first byte.
    Implicit,
    /// When the client sends STARTTLS.
    Offered,
    /// Never.
    Absent,
}

/// A mail server on this machine. It keeps the lines that it was sent, in clear text and over TLS.
#[derive(Clone, Default)]
struct Lines {
    clear: Arc<Mutex<Vec<String>>>,
    encrypted: Arc<Mutex<Vec<String>>>,
}

fn acceptor(pair: &Pair) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(&pair.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, manner: Manner, lines: Lines) -> std::io::Result<()> {
    if manner == Manner::Implicit {
        let mut stream = BufStream::new(tls.accept(stream).await?);
        stream.write_all(b"220 recorder\r\n").await?;
        return converse(&mut stream, false, &lines.encrypted).await.map(drop);
    }
    let mut stream = BufStream::new(stream);
    stream.write_all(b"220 recorder\r\n").await?;
    if converse(&mut stream, manner == Manner::Offered, &lines.clear).await? {
        let mut stream = BufStream::new(tls.accept(stream.into_inner()).await?);
        converse(&mut stream, false, &lines.encrypted).await?;
    }
    Ok(())
}

/// Answers commands until the client ends, or until it begins TLS, which is true.
async fn converse(
    stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>,
    offers_tls: bool,
    lines: &Mutex<Vec<String>>,
) -> std::io::Result<bool> {
    let mut is_mail = false;
    loop {
        stream.flush().await?;
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let line = line.trim_end().to_owned();
        lines.lock().unwrap().push(line.clone());
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap() {
            "." if is_mail => {
                is_mail = false;
                b"250 taken\r\n"
            }
            _ if is_mail => continue,
            "EHLO" if offers_tls => b"250-recorder\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
            "EHLO" => b"250-recorder\r\n250 AUTH PLAIN\r\n",
            "STARTTLS" if offers_tls => {
                stream.write_all(b"220 go on\r\n").await?;
                stream.flush().await?;
                return Ok(true);
            }
            "AUTH" => b"235 welcome\r\n",
            "DATA" => {
                is_mail = true;
                b"354 go on\r\n"
            }
            "MAIL" | "RCPT" => b"250 yes\r\n",
            "QUIT" => b"221 bye\r\n",
            _ => b"502 unknown\r\n",
        };
        stream.write_all(answer).await?;
    }
}

/// Mails a code to a server with the certificate `pair`, trusting `ca`; returns what the server got and the error.
async fn mailed(manner: Manner, pair: &Pair, ca: PathBuf) -> (Lines, Option<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (lines, tls) = (Lines::default(), acceptor(pair));
    let serving = lines.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, tls.clone(), manner, serving.clone()));
        }
    });
    let url = match manner {
        Manner::Implicit => format!("smtps://person:hunter2@localhost:{port}"),
        Manner::Offered | Manner::Absent => format!("smtp://person:hunter2@localhost:{port}?tls=required"),
    };
    let sender = Sender::Smtp(Smtp { url, from: "verify@dev-domain.test".to_owned(), ca: Some(ca) });
    let mailbox = Mailbox::new(Some(&sender), PathBuf::new(), Arc::new(ManualClock::at(START))).unwrap();
    let sent = mailbox.send_code("demo@example.com", "abcdefghijkl").await;
    (lines, sent.err().map(|error| Chain(&error).to_string()))
}

fn contains(lines: &Mutex<Vec<String>>, start: &str) -> bool {
    lines.lock().unwrap().iter().any(|line| line.starts_with(start))
}

#[tokio::test]
async fn a_code_and_the_password_go_over_tls_to_the_right_server_alone() {
    let home = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ca = home.path().join("ca.pem");
    authority.write(&ca);
    let good = authority.issue(home.path(), "good", "localhost");
    let misnamed = authority.issue(home.path(), "misnamed", "mail.test");
    let expired = authority.issue_expired(home.path(), "expired", "localhost");
    let unknown = stranger.issue(home.path(), "unknown", "localhost");
    for manner in [Manner::Implicit, Manner::Offered] {
        let (lines, error) = mailed(manner, &good, ca.clone()).await;
        assert_eq!(error, None);
        for line in ["AUTH PLAIN ", "MAIL FROM:<verify@dev-domain.test>", "    abcdefghijkl"] {
            assert!(
                contains(&lines.encrypted, line),
                "{line} is missing in {:?}",
                lines.encrypted.lock().unwrap()
            );
        }
        let clear = lines.clear.lock().unwrap();
        assert!(clear.iter().all(|line| line.starts_with("EHLO") || line == "STARTTLS"), "{clear:?}");
    }
    // The unknown authority has the name of the known one, and another key.
    for (pair, reason) in
        [(&misnamed, "not valid for name"), (&unknown, "BadSignature"), (&expired, "expired")]
    {
        for manner in [Manner::Implicit, Manner::Offered] {
            let (lines, error) = mailed(manner, pair, ca.clone()).await;
            let error = error.unwrap();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{error}");
            assert!(!contains(&lines.clear, "AUTH") && lines.encrypted.lock().unwrap().is_empty(), "{error}");
        }
    }
    let (lines, error) = mailed(Manner::Absent, &good, ca).await;
    let error = error.unwrap();
    assert!(error.contains("STARTTLS"), "{error}");
    assert!(
        !contains(&lines.clear, "AUTH") && !contains(&lines.clear, "MAIL"),
        "{:?}",
        lines.clear.lock().unwrap()
    );
}

#[tokio::test]
async fn a_file_without_an_authority_is_refused_at_the_start() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ca.pem");
    let made = |url: &str| {
        let from = "verify@dev-domain.test".to_owned();
        let sender = Sender::Smtp(Smtp { url: url.to_owned(), from, ca: Some(file.clone()) });
        Mailbox::new(Some(&sender), PathBuf::new(), Arc::new(ManualClock::at(START))).unwrap_err()
    };
    assert!(made("smtps://u:hunter2@mail.test").contains("ca.pem cannot be read"));
    std::fs::write(&file, "hunter2").unwrap();
    let error = made("smtps://u:hunter2@mail.test");
    assert!(
        error.contains("MAIL_SMTP_CA") && error.contains("ca.pem") && !error.contains("hunter2"),
        "{error}"
    );
    Authority::new().write(&file);
    assert!(made("smtp://localhost:2525").contains("unset MAIL_SMTP_CA"));
}
