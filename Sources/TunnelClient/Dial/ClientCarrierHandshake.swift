import Mux
import NIOCore
import Seal
import TunnelCore

/// Authenticates on a client's carrier, between its upgrade and its session.
final class ClientCarrierHandshake: CarrierReceiver {
    /// The purpose that the carrier has found.
    enum Outcome: Sendable {
        /// A session begins.
        case begins(ClientHandshake.Grant)
        /// The session continues, and the server has received so many of its counted frames.
        case resumes(received: UInt64, ticket: [UInt8])
    }

    /// The server has shown another key than its own.
    struct WrongKey: Error {
        let key: ServerPublicKey
    }

    private var handshake: ClientHandshake
    private let ticket: () -> ClientHandshake.Ticket?
    private let mayBegin: Bool
    private var carrier: Carrier?
    private var promise: EventLoopPromise<Outcome>?

    /// - Parameters:
    ///   - ticket: returns the ticket of the session that needs the carrier; called when it is sent. Nil begins a session.
    ///   - mayBegin: whether another session may begin if the server does not know that one.
    ///   - promise: fails with a ``Refusal``, a ``MuxError``, a ``WrongKey`` or a ``CarrierLoss``.
    init(
        _ handshake: ClientHandshake,
        ticket: @escaping () -> ClientHandshake.Ticket?,
        mayBegin: Bool,
        promise: EventLoopPromise<Outcome>
    ) {
        self.handshake = handshake
        self.ticket = ticket
        self.mayBegin = mayBegin
        self.promise = promise
    }

    func start(_ carrier: Carrier) {
        self.carrier = carrier
    }

    func carrier(received frame: InboundFrame) {
        do throws(MuxError) {
            let ticket = handshake.awaitsChallenge ? ticket() : nil
            guard mayBegin || ticket != nil || !handshake.awaitsChallenge else { return end(Self.sessionIsOver) }
            switch try handshake.receive(frame, ticket: ticket) {
            case .send(let answer):
                send(answer)
            case .denied(let answer):
                guard mayBegin else { return end(Refusal(.unknownSession, "another server answered, or a new one")) }
                send(answer)
            case .established(let grant):
                if let seal = grant.seal { carrier?.seal(seal) }
                finish(.success(.begins(grant)))
            case .resumed(let received, let ticket, let seal):
                if let seal { carrier?.seal(seal) }
                finish(.success(.resumes(received: received, ticket: ticket)))
            case .refused(let refusal):
                // A server that refuses may leave the closing to the client, and each dial would leave a connection.
                end(refusal)
            case .wrongKey(let key):
                carrier?.close(.policyViolation, reason: "another key was expected")
                finish(.failure(WrongKey(key: key)))
            }
        } catch {
            carrier?.close(.protocolError, reason: error.kind.rawValue)
            finish(.failure(error))
        }
    }

    private static let sessionIsOver = Refusal(.unknownSession, "the session is over")

    private func send(_ answer: OutboundFrame) {
        carrier?.send(answer)
        carrier?.flush()
    }

    private func end(_ refusal: Refusal) {
        carrier?.close(.goingAway, reason: refusal.code.description)
        finish(.failure(refusal))
    }

    func carrier(violatedBy error: MuxError) {
        finish(.failure(error))
    }

    func carrierReadCompleted() {}
    func carrierBecameWritable() {}

    func carrierLost(_ loss: CarrierLoss) {
        finish(.failure(loss))
    }

    private func finish(_ result: Result<Outcome, any Error>) {
        carrier = nil
        promise?.completeWith(result)
        promise = nil
    }
}
