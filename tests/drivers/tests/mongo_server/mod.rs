//! A server that a driver of MongoDB takes for one: it says hello, and answers a ping when it is told to.

use mongodb::bson::{Document, doc};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

// The formats are those of the wire protocol's documentation: a header of four numbers, and what belongs to its last.
const HEADER: usize = 16;
const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

#[derive(Debug, Default)]
struct Answers {
    are_given: Mutex<bool>,
    told: Condvar,
}

/// It serves until the process ends.
#[derive(Debug)]
pub(crate) struct MongoServer {
    address: SocketAddr,
    answers: Arc<Answers>,
}

struct Question {
    id: i32,
    code: i32,
    body: Document,
}

impl MongoServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, answers) = (listener.local_addr().unwrap(), Arc::new(Answers::default()));
        let served = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answers = Arc::clone(&served);
                // It ends when the driver closes its connection.
                thread::spawn(move || serve(stream, &answers));
            }
        });
        Self { address, answers }
    }

    pub(crate) fn url(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address)
    }

    /// Answers the pings from now on, and those that wait.
    pub(crate) fn answer(&self) {
        *self.answers.are_given.lock().unwrap() = true;
        self.answers.told.notify_all();
    }
}

impl Answers {
    fn wait(&self) {
        let given = self.are_given.lock().unwrap();
        drop(self.told.wait_while(given, |given| !*given).unwrap());
    }
}

fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    loop {
        let question = read(&mut stream)?;
        let is_ping = question.body.contains_key("ping");
        if is_ping {
            answers.wait();
        }
        let answer = if is_ping {
            doc! { "ok": 1.0 }
        } else {
            hello()
        };
        stream.write_all(&reply(&question, &answer))?;
    }
}

/// What the driver wants to know of a server that stands alone.
fn hello() -> Document {
    doc! {
        "helloOk": true,
        "ismaster": true,
        "isWritablePrimary": true,
        "maxBsonObjectSize": 16_777_216,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "ok": 1.0,
    }
}

fn read(stream: &mut TcpStream) -> io::Result<Question> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let length = usize::try_from(number(&header)).unwrap();
    let mut rest = vec![0; length - HEADER];
    stream.read_exact(&mut rest)?;
    let code = number(&header[12..]);
    let start = match code {
        // Flags, and the kind of the only section.
        OP_MSG => 5,
        // Flags, the name of a collection with its end, and two numbers.
        OP_QUERY => 4 + rest[4..].iter().position(|byte| *byte == 0).unwrap() + 1 + 8,
        code => panic!("a question of the code {code}"),
    };
    let body = Document::from_reader(&rest[start..]).unwrap();
    Ok(Question { id: number(&header[4..]), code, body })
}

fn number(bytes: &[u8]) -> i32 {
    i32::from_le_bytes(bytes[..4].try_into().unwrap())
}

fn reply(question: &Question, answer: &Document) -> Vec<u8> {
    let mut body = Vec::new();
    let code = if question.code == OP_MSG {
        body.extend([0; 5]);
        OP_MSG
    } else {
        // Flags, a cursor, where the answer starts, and that it is one document.
        body.extend([0; 16]);
        body.extend(1_i32.to_le_bytes());
        OP_REPLY
    };
    answer.to_writer(&mut body).unwrap();
    let length = i32::try_from(HEADER + body.len()).unwrap();
    let header = [length, 0, question.id, code];
    header.iter().flat_map(|number| number.to_le_bytes()).chain(body).collect()
}
