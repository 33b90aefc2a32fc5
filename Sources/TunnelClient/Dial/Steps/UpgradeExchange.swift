import HTTP1
import NIOCore
import ProxyConnect
import TunnelCore
import WebSocket

/// The exchange with a server that makes a connection a WebSocket, from the request to the 101.
///
/// ```
///          start              101
///   idle ────────▶ awaiting ─────────▶ finished (upgraded)
///                     │ any other status
///                     ▼
///                  readingPage ──────▶ finished (failed)
///   from each of them: the end of the connection, the timeout ──▶ finished (failed)
/// ```
///
/// - Interim answers are skipped, up to the limit that the exchange with a proxy has too.
/// - Any status but 101 fails once the beginning of its page has arrived, for the error.
/// - Bytes behind the 101 stay in the caller's buffer: they belong to the WebSocket.
///
/// Pure: bytes go in, actions come out. The caller has the timer, and calls `deadline` when it fires.
struct UpgradeExchange: Sendable {
    /// What the caller does next.
    enum Action: Sendable {
        /// Write these bytes to the server.
        case send(ByteBuffer)
        /// The connection is a WebSocket.
        case upgraded(Agreement, UpgradeAnswer)
        /// Close the connection: it is not a WebSocket.
        case fail(UpgradeFailure)
    }

    private enum State: Sendable {
        case idle(Result<ClientUpgrade, UpgradeFailure>)
        case awaiting(ClientUpgrade, Answer)
        case readingPage(BodyDrain, UpgradeError, ResponseHead)
        case finished
    }

    /// The answer, as far as it has arrived.
    private struct Answer: Sendable {
        var parser = ResponseHeadParser()
        var interimAnswers = 0
        /// The first bytes, for the error if they are not HTTP.
        var start: [UInt8] = []
    }

    private var state: State

    /// - Parameter upgrade: the request, or the reason why there is none, which `start` reports.
    init(_ upgrade: Result<ClientUpgrade, UpgradeFailure>) {
        state = .idle(upgrade)
    }

    /// Whether the server has refused the upgrade, and its page is being read.
    var isReadingPage: Bool {
        if case .readingPage = state { true } else { false }
    }

    /// The first action, once the server is reached.
    mutating func start() -> Action {
        guard case .idle(let upgrade) = state else { preconditionFailure("an exchange starts once") }
        do throws(UpgradeFailure) {
            let upgrade = try upgrade.get()
            let request = try Self.bytes(of: upgrade)
            state = .awaiting(upgrade, Answer())
            return .send(request)
        } catch {
            return fail(error)
        }
    }

    private static func bytes(of upgrade: ClientUpgrade) throws(UpgradeFailure) -> ByteBuffer {
        do {
            var bytes = ByteBuffer()
            try upgrade.request().serialize(into: &bytes)
            return bytes
        } catch {
            throw .unusableRequest(error.userDescription)
        }
    }

    /// Takes the server's bytes off the buffer.
    ///
    /// - Returns: the next action; nil if more bytes are needed, or if the exchange is over.
    mutating func receive(_ buffer: inout ByteBuffer) -> Action? {
        switch state {
        case .idle, .finished:
            return nil
        case .awaiting(let upgrade, var answer):
            answer.start += buffer.readableBytesView.prefix(ConnectExchange.startLimit - answer.start.count)
            do throws(HTTP1Error) {
                while let head = try answer.parser.receive(&buffer) {
                    guard ClientUpgrade.isInterim(head) else { return judge(head, upgrade, &buffer) }
                    answer.interimAnswers += 1
                    guard answer.interimAnswers <= ConnectExchange.interimLimit else {
                        return fail(.endlessInterimAnswers)
                    }
                }
                state = .awaiting(upgrade, answer)
                return nil
            } catch {
                return fail(.notHTTP(error, start: answer.start))
            }
        case .readingPage(var drain, let error, let head):
            // The drain's buffer must have one owner while it grows.
            state = .finished
            let isComplete = (try? drain.receive(&buffer)) ?? true
            guard isComplete || drain.collected.readableBytes >= BodyDrain.collectedLimit else {
                state = .readingPage(drain, error, head)
                return nil
            }
            return fail(.refused(error, head, page: drain.collected))
        }
    }

    /// Ends the exchange because the peer closed the connection, or reset it.
    ///
    /// - Returns: the failure; nil if the exchange is over.
    mutating func connectionClosed() -> Action? { end(.closed) }

    /// Ends the exchange because its time is over.
    ///
    /// - Returns: the failure; nil if the exchange is over.
    mutating func deadline() -> Action? { end(.silent) }

    private mutating func end(_ failure: UpgradeFailure) -> Action? {
        switch state {
        case .finished: nil
        case .idle, .awaiting: fail(failure)
        // The status says more than the end of its page.
        case .readingPage(let drain, let error, let head): fail(.refused(error, head, page: drain.collected))
        }
    }

    private mutating func judge(_ head: ResponseHead, _ upgrade: ClientUpgrade, _ buffer: inout ByteBuffer) -> Action? {
        do throws(UpgradeError) {
            let agreement = try upgrade.verify(head)
            guard agreement.subprotocol == subprotocolName else { return fail(.otherSubprotocol) }
            state = .finished
            return .upgraded(agreement, UpgradeAnswer(head))
        } catch {
            guard case .status = error, let drain = try? BodyDrain(response: head, limit: 2 * BodyDrain.collectedLimit)
            else { return fail(.refused(error, head, page: ByteBuffer())) }
            state = .readingPage(drain, error, head)
            return receive(&buffer)
        }
    }

    private mutating func fail(_ failure: UpgradeFailure) -> Action {
        state = .finished
        return .fail(failure)
    }
}
