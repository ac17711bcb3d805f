//! The process ends in the middle: the source takes writes again, or the next command sees to it.

use crate::stage::{SLEEPING, Stage, ended, send};

const WRITE: &str = "INSERT INTO visits VALUES ('/later', 1)";

#[test]
fn a_signal_releases_the_source_and_a_new_move_begins_with_a_new_dump() {
    let stage = Stage::set();
    for signal in ["-INT", "-TERM"] {
        let child = stage.stuck_in_the_checks(&["--hold"]);
        assert!(!stage.source_takes_writes());
        send(&child, signal);
        let stopped = ended(child);
        assert_eq!(stopped.code, Some(1), "{stopped:?}");
        assert!(stopped.log.contains("stopped by a signal"), "{stopped:?}");
        assert!(stage.source_takes_writes(), "{stopped:?}");
        // The source may have changed since the dump, so the dump is void.
        stage.source.sql(WRITE);
        let refused = stage.run(&["run"]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.log.contains("rollback --clear-target"), "{refused:?}");
        let cleared = stage.run(&["rollback", "--clear-target"]);
        assert_eq!((cleared.code, &cleared.report["target_cleared"]), (Some(0), &true.into()), "{cleared:?}");
    }
    let moved = stage.run(&["run"]);
    assert_eq!((moved.code, moved.differences().len()), (Some(0), 0), "{moved:?}");
    assert_eq!(stage.target.sql("SELECT count(*) FROM visits WHERE path = '/later'"), "2");
}

#[test]
fn a_killed_move_goes_on_where_it_ended() {
    let stage = Stage::set();
    let child = stage.stuck_in_the_checks(&[]);
    let locked = stage.run(&["rollback"]);
    assert_eq!(locked.code, Some(1), "{locked:?}");
    assert!(locked.log.contains("another db-migrate works in"), "{locked:?}");
    send(&child, "-KILL");
    assert_eq!(ended(child).code, None);
    assert!(!stage.source_takes_writes());
    let moved = stage.run(&["run", "--hold"]);
    assert_eq!((moved.code, moved.differences().len()), (Some(0), 0), "{moved:?}");
    for step in ["dump", "restore"] {
        assert!(
            moved.log.contains(&format!(r#"{{"event":"done in an earlier run","step":"{step}"}}"#)),
            "{moved:?}"
        );
    }
    assert!(!stage.source_takes_writes(), "it is held");
    let undone = stage.run(&["rollback"]);
    assert_eq!(
        undone.report,
        serde_json::json!({ "source_released": true, "target_cleared": false }),
        "{undone:?}"
    );
    assert!(stage.source_takes_writes());
    stage.source.sql(WRITE);
    // A second time there is nothing to undo.
    assert_eq!(stage.run(&["rollback"]).report["source_released"], false);
}

#[test]
fn a_held_move_is_done_and_another_run_does_not_release_the_source() {
    let stage = Stage::set();
    assert_eq!(stage.run(&["run", "--hold"]).code, Some(0));
    // The services write to the target already.
    stage.target.sql(WRITE);
    for more in [&["run"][..], &["run", "--hold"]] {
        let refused = stage.run(more);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.log.contains("this move is done"), "{refused:?}");
        assert!(!stage.source_takes_writes(), "both would take writes");
    }
    assert_eq!(stage.run(&["rollback"]).report["source_released"], true);
    assert!(stage.source_takes_writes());
    let refused = stage.run(&["run"]);
    assert!(refused.log.contains("the source took writes since"), "{refused:?}");
}

#[test]
fn a_restore_that_outlived_a_killed_run_is_ended_by_the_next() {
    let stage = Stage::set();
    // In place of `pg_restore`: the beginning of a restore, which does not end by itself.
    let endless = "case $1 in --version) exec pg_restore --version ;; esac
                   exec psql --no-psqlrc -c 'CREATE TABLE users (); SELECT pg_sleep(600)'";
    let programs = stage.programs("exec pg_dump \"$@\"", endless);
    let mut child = stage.command(&["run", "--pg-bin", &programs]).spawn().unwrap();
    harness::eventually("the restore runs", || stage.target.sql(SLEEPING) == "1");
    send(&child, "-KILL");
    // The restore has its standard error from the killed process, so nothing waits for the end of that.
    child.wait().unwrap();
    assert_eq!(stage.target.sql(SLEEPING), "1", "it outlived the process");
    let moved = stage.run(&["run"]);
    assert_eq!((moved.code, moved.differences().len()), (Some(0), 0), "{moved:?}");
    assert!(moved.log.contains("1 sessions of an earlier run were ended"), "{moved:?}");
}

#[test]
fn a_step_that_takes_too_long_ends_the_move_and_releases_the_source() {
    let stage = Stage::set();
    let endless = "case $1 in --version) exec pg_dump --version ;; esac; exec sleep 600";
    let programs = stage.programs(endless, "exec pg_restore \"$@\"");
    let slow = stage.run(&["run", "--hold", "--step-limit", "2", "--pg-bin", &programs]);
    assert_eq!(slow.code, Some(1), "{slow:?}");
    assert!(slow.log.contains("dump took longer than 2s; raise --step-limit"), "{slow:?}");
    assert!(stage.source_takes_writes());
    assert_eq!(stage.run(&["run"]).code, Some(0));
}

#[test]
fn a_record_is_used_by_its_own_move_and_version_alone() {
    let stage = Stage::moved();
    let refused = stage.run(&["run", "--target", &stage.target.url().replace("127.0.0.1", "localhost")]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("belongs to the move from"), "{refused:?}");
    let record = stage.state().join("state.json");
    let text = std::fs::read_to_string(&record).unwrap();
    for other in [text.replace("\"version\": 1", "\"version\": 2"), text.replace("\"dump\"", "\"dumps\"")] {
        assert_ne!(other, text);
        std::fs::write(&record, other).unwrap();
        let refused = stage.run(&["rollback", "--clear-target"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.log.contains("use the program version that began this move"), "{refused:?}");
    }
    assert_eq!(stage.target.sql("SELECT count(*) FROM visits"), "52");
}

#[test]
fn a_dump_that_was_damaged_between_two_runs_is_made_again() {
    let stage = Stage::set();
    let endless = "case $1 in --version) exec pg_restore --version ;; esac; exec sleep 600";
    let programs = stage.programs("exec pg_dump \"$@\"", endless);
    let mut child = stage.command(&["run", "--pg-bin", &programs]).spawn().unwrap();
    let record = stage.state().join("state.json");
    let restores = || std::fs::read_to_string(&record).is_ok_and(|text| text.contains("\"restoring\": true"));
    harness::eventually("the restore begins", restores);
    send(&child, "-KILL");
    child.wait().unwrap();
    let dump = stage.state().join("source.dump");
    let mut bytes = std::fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&dump, bytes).unwrap();
    let moved = stage.run(&["run"]);
    assert_eq!((moved.code, moved.differences().len()), (Some(0), 0), "{moved:?}");
    assert!(!moved.log.contains("done in an earlier run"), "{moved:?}");
}

#[test]
fn a_restore_that_was_complete_when_the_process_was_killed_is_not_done_again() {
    let stage = Stage::set();
    let slow = "case $1 in --version) exec pg_restore --version ;; esac; pg_restore \"$@\" && exec sleep 600";
    let programs = stage.programs("exec pg_dump \"$@\"", slow);
    let mut child = stage.command(&["run", "--pg-bin", &programs]).spawn().unwrap();
    let restored = "SELECT to_regclass('visits') IS NOT NULL";
    harness::eventually("the restore is complete", || stage.target.sql(restored) == "t");
    send(&child, "-KILL");
    child.wait().unwrap();
    let moved = stage.run(&["run"]);
    assert_eq!((moved.code, moved.differences().len()), (Some(0), 0), "{moved:?}");
    assert!(moved.log.contains(r#"{"event":"done in an earlier run","step":"restore"}"#), "{moved:?}");
}

#[test]
fn a_killed_move_is_undone_by_a_rollback() {
    let stage = Stage::set();
    // A setting of the database's own comes back as it was.
    stage.source.sql("ALTER DATABASE postgres SET default_transaction_read_only = 'false'");
    let child = stage.stuck_in_the_checks(&[]);
    send(&child, "-KILL");
    ended(child);
    let undone = stage.run(&["rollback", "--clear-target"]);
    assert_eq!(
        undone.report,
        serde_json::json!({ "source_released": true, "target_cleared": true }),
        "{undone:?}"
    );
    let setting = "SELECT setconfig FROM pg_db_role_setting";
    assert_eq!(stage.source.sql(setting), "{default_transaction_read_only=false}");
    assert_eq!(
        stage.target.sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        "0"
    );
    assert_eq!(stage.run(&["run"]).code, Some(0));
}

#[test]
fn a_dump_from_before_other_writes_is_not_used() {
    let stage = Stage::set();
    let child = stage.stuck_in_the_checks(&[]);
    send(&child, "-KILL");
    ended(child);
    stage.source.sql_in("template1", "ALTER DATABASE postgres RESET default_transaction_read_only");
    stage.source.sql(WRITE);
    let refused = stage.run(&["run"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("the source took writes since"), "{refused:?}");
    assert!(stage.source_takes_writes());
}

/// A session on the source that sends `statements` and stays.
fn session(stage: &Stage, statements: &str) -> (std::process::Child, std::process::ChildStdin) {
    use std::io::Write as _;
    let mut psql = std::process::Command::new("psql");
    let mut session = psql
        .args(["--no-psqlrc", "--quiet", "-d", &stage.source.url()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = session.stdin.take().unwrap();
    writeln!(input, "{statements}").unwrap();
    (session, input)
}

/// The source is read-only for sessions that begin, and one of before does not end, because its process stands still.
fn stuck_in_the_freeze(stage: &Stage, more: &[&str]) -> (std::process::Child, String) {
    // The session stays without a transaction, and its client with it.
    let (mut client, input) = session(stage, "SET application_name = 'earlier';");
    let earlier =
        "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'earlier' AND state = 'idle'";
    harness::eventually("the session is there", || !stage.source.sql(earlier).is_empty());
    let pid = stage.source.sql(earlier);
    assert!(std::process::Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    let child = stage.command(&["run"]).args(more).spawn().unwrap();
    harness::eventually("the source is frozen", || !stage.source_takes_writes());
    client.kill().unwrap();
    client.wait().unwrap();
    drop(input);
    (child, pid)
}

#[test]
fn a_process_that_is_killed_in_the_middle_of_the_freeze_leaves_a_record_of_it() {
    let stage = Stage::set();
    let (child, pid) = stuck_in_the_freeze(&stage, &[]);
    send(&child, "-KILL");
    ended(child);
    assert!(std::process::Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
    assert!(!stage.source_takes_writes());
    let undone = stage.run(&["rollback"]);
    assert_eq!((undone.code, &undone.report["source_released"]), (Some(0), &true.into()), "{undone:?}");
    assert!(stage.source_takes_writes());
}

#[test]
fn a_freeze_that_takes_too_long_is_undone() {
    let stage = Stage::set();
    let (child, pid) = stuck_in_the_freeze(&stage, &["--step-limit", "5"]);
    let slow = ended(child);
    assert!(std::process::Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
    assert_eq!(slow.code, Some(1), "{slow:?}");
    assert!(slow.log.contains("freeze took longer than 5s"), "{slow:?}");
    assert!(stage.source_takes_writes(), "{slow:?}");
    assert_eq!(stage.run(&["run"]).code, Some(0));
}

/// It would refuse writes until its client connects again, and a pool keeps its sessions for hours.
#[test]
fn a_session_from_the_freeze_does_not_stay_read_only_after_it() {
    let stage = Stage::set();
    let child = stage.stuck_in_the_checks(&[]);
    let (mut client, input) = session(&stage, "SET application_name = 'frozen';");
    let frozen = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'frozen'";
    harness::eventually("the session is there", || stage.source.sql(frozen) == "1");
    send(&child, "-TERM");
    ended(child);
    harness::eventually("the session is ended", || stage.source.sql(frozen) == "0");
    drop(input);
    client.wait().unwrap();
}

#[test]
fn sessions_from_before_the_freeze_cannot_write() {
    use std::io::Write as _;
    let stage = Stage::set();
    let (mut session, mut input) = session(&stage, "BEGIN; INSERT INTO visits VALUES ('/before', 1);");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
    harness::eventually("the session is open", || stage.source.sql(open) == "1");
    let child = stage.stuck_in_the_checks(&[]);
    // Its transaction ended with it, and psql may find that only now.
    let _ = writeln!(input, "COMMIT;");
    drop(input);
    session.wait().unwrap();
    assert_eq!(stage.source.sql("SELECT count(*) FROM visits WHERE path = '/before'"), "0");
    send(&child, "-TERM");
    ended(child);
}

#[test]
fn a_target_that_was_changed_is_cleared_only_if_that_is_wanted() {
    let stage = Stage::moved();
    stage.target.sql(WRITE);
    let refused = stage.run(&["rollback", "--clear-target"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.log.contains("--discard-changes"), "{refused:?}");
    assert_eq!(stage.target.sql("SELECT count(*) FROM visits"), "53");
    let cleared = stage.run(&["rollback", "--clear-target", "--discard-changes"]);
    assert_eq!((cleared.code, &cleared.report["target_cleared"]), (Some(0), &true.into()), "{cleared:?}");
}
