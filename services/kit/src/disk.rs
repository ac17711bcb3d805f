//! Errors of the disk that the path of a request causes, and no fault of the disk: a client names a link that leads out of the
//! directory, or a file where a directory is needed.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// What is wrong with a path that a client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// It names nothing, or a file where a directory is needed, or the reverse; or its links lead in a circle.
    Absent,
    /// It leads out of the directory, or to something that the service may not open.
    Closed,
}

impl PathFault {
    /// Returns what is wrong with the path; `None` when the disk failed.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        const ABSENT: [ErrorKind; 6] = [
            ErrorKind::NotFound,
            ErrorKind::NotADirectory,
            ErrorKind::IsADirectory,
            ErrorKind::AlreadyExists,
            ErrorKind::InvalidFilename,
            ErrorKind::InvalidInput,
        ];
        // The standard library's kind for it is not stable.
        let is_circle = Errno::from_io_error(error) == Some(Errno::LOOP);
        if is_circle || ABSENT.contains(&error.kind()) {
            Some(Self::Absent)
        } else if error.kind() == ErrorKind::PermissionDenied {
            Some(Self::Closed)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_a_disk() {
        for (errno, expected) in [
            (Errno::NOENT, Some(PathFault::Absent)),
            (Errno::LOOP, Some(PathFault::Absent)),
            (Errno::NOTDIR, Some(PathFault::Absent)),
            (Errno::ISDIR, Some(PathFault::Absent)),
            (Errno::NAMETOOLONG, Some(PathFault::Absent)),
            (Errno::ACCESS, Some(PathFault::Closed)),
            (Errno::IO, None),
            (Errno::NOSPC, None),
            (Errno::MFILE, None),
        ] {
            assert_eq!(PathFault::of(&errno.into()), expected, "{errno}");
        }
    }
}
