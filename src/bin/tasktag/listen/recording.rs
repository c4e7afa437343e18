//! Packets in a file, each with the time at which it came.
//!
//! A recording is the line [`HEAD`], and then of each packet: the microseconds since the start in eight bytes, the
//! length in four bytes, both with the lowest byte first, and the bytes.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HEAD: &[u8] = b"tasktag recording 1\n";
/// The longest packet of a recording.
const MAX_PACKET: usize = 1 << 20;

/// A file that packets are written to.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    file: BufWriter<File>,
    start: Instant,
    packets: u64,
    failure: Option<io::Error>,
}

impl Recorder {
    /// Makes the file. One that exists is not overwritten.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create_new(path)?);
        file.write_all(HEAD)?;
        Ok(Self { path: path.to_owned(), file, start: Instant::now(), packets: 0, failure: None })
    }

    /// Writes a packet, unless an earlier one could not be written: half a packet ends a recording.
    pub(super) fn write(&mut self, packet: &[u8]) {
        if self.failure.is_none() {
            match self.try_write(packet) {
                Ok(()) => self.packets += 1,
                Err(error) => self.failure = Some(error),
            }
        }
    }

    fn try_write(&mut self, packet: &[u8]) -> io::Result<()> {
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let len = u32::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.file.write_all(&micros.to_le_bytes())?;
        self.file.write_all(&len.to_le_bytes())?;
        self.file.write_all(packet)
    }

    /// Says what was recorded, which is then in the file.
    pub(super) fn state(&mut self) -> String {
        if let Err(error) = self.file.flush() {
            self.failure.get_or_insert(error);
        }
        let (path, packets) = (self.path.display(), self.packets);
        match &self.failure {
            None => format!("recorded in {path}: {packets} packets"),
            Some(error) => format!("recorded in {path}: {packets} packets, and no more: {error}"),
        }
    }
}

/// A file that packets are read from.
#[derive(Debug)]
pub(crate) struct Recording(BufReader<File>);

impl Recording {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let mut head = [0; HEAD.len()];
        match file.read_exact(&mut head) {
            Ok(()) if head == HEAD => Ok(Self(file)),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "this is no recording of tasktag")),
        }
    }

    /// The next packet and when it came. A packet that was cut off at the end of the file is left out.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Duration, Vec<u8>)>> {
        let (mut micros, mut len) = ([0; 8], [0; 4]);
        if !self.fill(&mut micros)? || !self.fill(&mut len)? {
            return Ok(None);
        }
        let len = u32::from_le_bytes(len) as usize;
        if len > MAX_PACKET {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet of this recording is too long"));
        }
        let mut packet = vec![0; len];
        let at = Duration::from_micros(u64::from_le_bytes(micros));
        Ok(self.fill(&mut packet)?.then_some((at, packet)))
    }

    /// Reads as many bytes as there is room for. `false` if the file ends before.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match self.0.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
