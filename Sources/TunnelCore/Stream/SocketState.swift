import Mux

/// The state of one socket and its stream: what FIN, END, RST and RESET mean for each other.
///
/// ```
///  waiting(Input) ---> asking(Input)        a socket without a stream; whose stream waits for ACCEPT
///       |  opened          |  opened            +---> refusing(code): the socket is told, then closed
///       +------------------+-> open(Reading, Writing) <---------+  opened
///                     |      |      |         connecting(Output)    a stream without a socket
///           error     |      |      |  both ENDs, session over
///        failed <-----+      |      +------> detached(Reading, Writing)
///          |                 | RESET                |
///          |                 v                      |
///          |        resetting(code) : delivered bytes are written, then RST
///          v                 v                      v
///        closed <-----------------------------------+
/// ```
///
/// | on the socket | on the stream | while `open` |
/// |---|---|---|
/// | FIN | END | Reading becomes `ended` |
/// | FIN after the last byte | END | Writing becomes `ending`, then `ended` |
/// | RST, a failed write | RESET | `closed` |
/// | RST after the last byte | RESET | `resetting`, then `closed` |
///
/// Pure: each function is one event, and its result is what the pipe does next.
package struct SocketState: Equatable, Sendable {
    private enum State: Equatable {
        case waiting(Input)
        case asking(StreamID, Input)
        /// The stream was reset before its ACCEPT, or never opened, and the socket has been told. What it still brings is
        /// dropped.
        case refusing(StreamID?, ResetCode)
        case connecting(StreamID, Output)
        case open(StreamID, Reading, Writing)
        /// The socket has reported an error and is about to close.
        case failed(StreamID)
        case resetting(StreamID, ResetCode, Reading)
        case detached(StreamID, Reading, Writing)
        case closed(StreamID?, Ending)
    }

    /// What a socket has brought before bytes flow.
    private enum Input: Equatable {
        case open
        case ended
        /// The socket is gone. The stream still gets what it brought.
        case reset
    }

    /// What the stream has said before there was a socket.
    private enum Output: Equatable {
        case open
        case ended
        case reset(ResetCode)
    }

    private enum Reading: Equatable {
        /// May be read; nothing was asked for since the last bytes.
        case idle
        /// The channel was asked to read.
        case asked
        /// The session takes no more of the stream for now.
        case blocked
        /// The rate limit is exceeded for a moment.
        case resting
        case blockedAndResting
        case ended
    }

    private enum Writing: Equatable {
        case open
        /// END has come: FIN follows the last byte.
        case ending
        case ended
    }

    /// How the stream ended, for the log.
    package enum Ending: Equatable, Sendable {
        case finished
        case resetByThisSocket
        case resetByOtherEnd(ResetCode)
        case idle
        /// There never was a stream on a socket.
        case withoutSocket
    }

    private var state: State

    /// A visitor's socket that has no stream yet.
    package static let waiting = SocketState(state: .waiting(.open))

    /// A stream whose service is being connected to.
    package static func connecting(_ stream: StreamID) -> SocketState {
        SocketState(state: .connecting(stream, .open))
    }

    private init(state: State) {
        self.state = state
    }

    // MARK: Questions

    /// Whether the stream or the socket is still missing.
    package var isPending: Bool {
        switch state {
        case .waiting, .asking, .connecting: true
        case .refusing, .open, .failed, .resetting, .detached, .closed: false
        }
    }

    /// Whether the stream waits for its ACCEPT.
    package var isAsking: Bool {
        if case .asking = state { true } else { false }
    }

    /// Whether the pipe has ended.
    package var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    /// Whether the service's socket is still missing.
    package var isConnecting: Bool {
        if case .connecting = state { true } else { false }
    }

    /// The stream, once there is one.
    package var stream: StreamID? {
        switch state {
        case .waiting: nil
        case .asking(let id, _), .connecting(let id, _), .open(let id, _, _), .failed(let id), .resetting(let id, _, _),
            .detached(let id, _, _):
            id
        case .refusing(let id, _), .closed(let id, _): id
        }
    }

    /// How the stream ended; nil while it lives.
    package var ending: Ending? {
        if case .closed(_, let ending) = state { ending } else { nil }
    }

    /// Whether a reset of the connection would be noticed by reading: the channel was asked to read, or has ended.
    package var noticesReset: Bool {
        switch state {
        case .open(_, let reading, _), .resetting(_, _, let reading), .detached(_, let reading, _):
            reading == .asked || reading == .ended
        case .refusing: true
        case .waiting, .asking, .connecting, .failed, .closed: false
        }
    }

    // MARK: Joining

    /// What follows once a socket has a stream, or a stream a socket.
    package enum Opening: Equatable {
        /// Not pending any more.
        case ignored
        /// Bytes flow. Then the stream is finished if the socket has ended, or the socket is reset with the code.
        case flows(finish: Bool, reset: ResetCode?)
        /// The socket is gone: the stream gets what it brought, and is reset.
        case gone
    }

    /// The stream is there, and waits for its ACCEPT before bytes flow.
    ///
    /// - Returns: false if the socket has not waited for a stream.
    package mutating func asked(_ id: StreamID) -> Bool {
        guard case .waiting(let input) = state else { return false }
        state = .asking(id, input)
        return true
    }

    /// Both the stream and the socket are there.
    package mutating func opened(_ id: StreamID) -> Opening {
        switch state {
        case .waiting(.reset), .asking(_, .reset):
            state = .closed(id, .resetByThisSocket)
            return .gone
        case .waiting(let input), .asking(_, let input):
            state = .open(id, input == .ended ? .ended : .idle, .open)
            return .flows(finish: input == .ended, reset: nil)
        case .connecting(_, let output):
            state = .open(id, .idle, output == .ended ? .ending : .open)
            guard case .reset(let code) = output else { return .flows(finish: false, reset: nil) }
            return .flows(finish: false, reset: code)
        case .refusing, .open, .failed, .resetting, .detached, .closed:
            return .ignored
        }
    }

    /// The socket could not be connected, or no stream was opened for it.
    ///
    /// - Returns: whether the pipe was pending.
    package mutating func refused() -> Bool {
        guard isPending else { return false }
        state = .closed(stream, .withoutSocket)
        return true
    }

    // MARK: Reading

    /// Where bytes from the socket go.
    package enum Destination: Equatable {
        case stream(StreamID)
        /// There is no stream yet: they are kept for it.
        case kept
        case dropped
    }

    /// The socket has brought bytes.
    package mutating func received() -> Destination {
        switch state {
        case .open(let id, let reading, let writing):
            if reading == .asked { state = .open(id, .idle, writing) }
            return .stream(id)
        case .failed(let id):
            return .stream(id)
        case .waiting, .asking:
            return .kept
        case .refusing, .connecting, .resetting, .detached, .closed:
            return .dropped
        }
    }

    /// Whether the channel is to be asked to read.
    package mutating func asksToRead() -> Bool {
        if case .refusing = state { return true }
        guard case .open(let id, let reading, let writing) = state else { return false }
        switch reading {
        case .idle, .asked:
            state = .open(id, .asked, writing)
            return true
        case .blocked, .resting, .blockedAndResting, .ended:
            return false
        }
    }

    /// The session takes no more of the stream.
    package mutating func blocked() {
        guard case .open(let id, let reading, let writing) = state else { return }
        switch reading {
        case .idle, .asked: state = .open(id, .blocked, writing)
        case .resting: state = .open(id, .blockedAndResting, writing)
        case .blocked, .blockedAndResting, .ended: break
        }
    }

    /// The session takes bytes of the stream again.
    package mutating func unblocked() {
        guard case .open(let id, let reading, let writing) = state else { return }
        switch reading {
        case .blocked: state = .open(id, .idle, writing)
        case .blockedAndResting: state = .open(id, .resting, writing)
        case .idle, .asked, .resting, .ended: break
        }
    }

    /// The bandwidth is used up.
    ///
    /// - Returns: whether a rest begins now.
    package mutating func rests() -> Bool {
        guard case .open(let id, let reading, let writing) = state else { return false }
        switch reading {
        case .idle, .asked: state = .open(id, .resting, writing)
        case .blocked: state = .open(id, .blockedAndResting, writing)
        case .resting, .blockedAndResting, .ended: return false
        }
        return true
    }

    /// The rest is over.
    package mutating func rested() {
        guard case .open(let id, let reading, let writing) = state else { return }
        switch reading {
        case .resting: state = .open(id, .idle, writing)
        case .blockedAndResting: state = .open(id, .blocked, writing)
        case .idle, .asked, .blocked, .ended: break
        }
    }

    /// The socket has sent FIN.
    ///
    /// - Returns: the stream to finish, if there is one.
    package mutating func inputEnded() -> StreamID? {
        switch state {
        case .waiting(.open):
            state = .waiting(.ended)
            return nil
        case .asking(let id, .open):
            state = .asking(id, .ended)
            return nil
        case .open(let id, _, let writing):
            state = .open(id, .ended, writing)
            return id
        case .failed(let id):
            return id
        case .resetting(let id, let code, _):
            state = .resetting(id, code, .ended)
            return nil
        case .detached(let id, _, let writing):
            state = .detached(id, .ended, writing)
            return nil
        case .waiting, .asking, .refusing, .connecting, .closed:
            return nil
        }
    }

    // MARK: Writing

    /// What happens to bytes of the stream.
    package enum Delivery: Equatable {
        case written
        /// There is no socket yet: they are kept for it.
        case kept
        case dropped
    }

    /// The stream has brought bytes.
    package var delivery: Delivery {
        switch state {
        case .open: .written
        case .connecting: .kept
        case .waiting, .asking, .refusing, .failed, .resetting, .detached, .closed: .dropped
        }
    }

    /// The stream has ended: FIN follows the last byte.
    ///
    /// - Returns: whether the socket is to be flushed.
    package mutating func outputEnds() -> Bool {
        switch state {
        case .connecting(let id, .open):
            state = .connecting(id, .ended)
            return false
        case .open(let id, let reading, .open):
            state = .open(id, reading, .ending)
            return true
        case .waiting, .asking, .refusing, .connecting, .open, .failed, .resetting, .detached, .closed:
            return false
        }
    }

    /// The stream that gets credit for bytes that the socket has taken; nil if none does.
    package var creditedStream: StreamID? {
        switch state {
        case .open(let id, _, _), .resetting(let id, _, _): id
        case .waiting, .asking, .refusing, .connecting, .failed, .detached, .closed: nil
        }
    }

    /// What follows the last byte.
    package enum AfterLastByte: Equatable {
        case nothing
        /// The socket gets FIN.
        case closeOutput
        /// The socket gets RST once the kernel has sent everything, and the stream is reset.
        case reset(StreamID)
    }

    /// The socket has taken everything that was delivered.
    package mutating func drained() -> AfterLastByte {
        switch state {
        case .resetting(let id, let code, _):
            state = .closed(id, .resetByOtherEnd(code))
            return .reset(id)
        case .open(let id, let reading, .ending):
            state = .open(id, reading, .ended)
            return .closeOutput
        case .detached(let id, let reading, .ending):
            state = .detached(id, reading, .ended)
            return .closeOutput
        case .waiting, .asking, .refusing, .connecting, .open, .failed, .detached, .closed:
            return .nothing
        }
    }

    // MARK: Ending

    /// What a RESET does to the socket.
    package enum Reset: Equatable {
        /// The socket takes the delivered bytes first, within a timeout.
        case afterDelivered
        /// The service is still connected to, because bytes wait for it, within a timeout.
        case afterConnecting
        case atOnce
        /// The socket waits for the stream's ACCEPT: it is told of the refusal or the failure, and closed.
        case afterRefusal
        case ignored
    }

    /// The stream was reset.
    ///
    /// - Parameters:
    ///   - isHolding: whether bytes wait for a socket that is being connected.
    ///   - isTold: whether the socket expects an answer before the stream's bytes.
    package mutating func reset(_ code: ResetCode, isHolding: Bool, isTold: Bool = false) -> Reset {
        switch state {
        case .connecting(let id, _) where isHolding:
            state = .connecting(id, .reset(code))
            return .afterConnecting
        case .open(let id, let reading, _):
            state = .resetting(id, code, reading)
            return .afterDelivered
        case .asking(let id, _):
            state = .refusing(id, code)
            return .afterRefusal
        case .waiting(let input) where isTold && input != .reset:
            state = .refusing(nil, code)
            return .afterRefusal
        case .waiting, .connecting, .failed, .detached:
            state = .closed(stream, .resetByOtherEnd(code))
            return .atOnce
        case .refusing, .resetting, .closed:
            return .ignored
        }
    }

    /// The stream is gone: its socket is reset at once.
    ///
    /// - Returns: whether the pipe was still there.
    package mutating func abort(_ code: ResetCode) -> Bool {
        guard !isClosed else { return false }
        state = .closed(stream, .resetByOtherEnd(code))
        return true
    }

    /// The time for the bytes before a reset is over.
    ///
    /// - Returns: whether the pipe was still there. Then its socket and its stream are reset.
    package mutating func resetIsOverdue() -> Bool {
        let code: ResetCode =
            switch state {
            case .resetting(_, let code, _), .refusing(_, let code), .connecting(_, .reset(let code)): code
            case .waiting, .asking, .connecting, .open, .failed, .detached, .closed: .timeout
            }
        return abort(code)
    }

    /// Both directions have ended on the wire and the stream's number is forgotten. The socket writes what it has.
    ///
    /// - Returns: whether the pipe was open.
    package mutating func detached() -> Bool {
        guard case .open(let id, let reading, let writing) = state else { return false }
        state = .detached(id, reading, writing)
        return true
    }

    /// Whether a stream that has ended in order has bytes left for its socket.
    package var isDetachedAndWriting: Bool {
        if case .detached(_, _, let writing) = state { writing != .ended } else { false }
    }

    /// Nothing has moved for longer than the idle timeout.
    ///
    /// - Returns: the stream to reset; nil if the pipe is not open.
    package mutating func idled() -> StreamID? {
        guard case .open(let id, _, _) = state else { return nil }
        state = .closed(id, .idle)
        return id
    }

    /// The channel has reported an error: a reset, or a write that failed. ``inactive(isHolding:)`` follows.
    package mutating func failed() {
        guard case .open(let id, _, _) = state else { return }
        state = .failed(id)
    }

    /// What the end of the channel means for the stream.
    package enum ChannelEnd: Equatable {
        case nothing
        case finish(StreamID)
        case reset(StreamID)
        /// There is no stream yet: it gets what the socket brought, and is reset then.
        case awaitsStream
    }

    /// The channel has closed.
    ///
    /// - Parameter isHolding: whether bytes wait for a stream.
    package mutating func inactive(isHolding: Bool) -> ChannelEnd {
        switch state {
        case .waiting where isHolding:
            state = .waiting(.reset)
            return .awaitsStream
        case .waiting:
            state = .closed(nil, .withoutSocket)
            return .nothing
        case .asking(let id, _):
            state = .closed(id, .resetByThisSocket)
            return .reset(id)
        case .refusing(let id, let code):
            state = .closed(id, .resetByOtherEnd(code))
            return .nothing
        case .connecting(let id, _):
            state = .closed(id, .withoutSocket)
            return .reset(id)
        case .open(let id, let reading, .ended):
            // NIO reports an end of input after the end of output as the end of the channel.
            state = .closed(id, .finished)
            return reading == .ended ? .nothing : .finish(id)
        case .open(let id, _, _), .failed(let id):
            state = .closed(id, .resetByThisSocket)
            return .reset(id)
        case .resetting(let id, let code, _):
            state = .closed(id, .resetByOtherEnd(code))
            return .reset(id)
        case .detached(let id, _, _):
            state = .closed(id, .finished)
            return .nothing
        case .closed:
            return .nothing
        }
    }
}
