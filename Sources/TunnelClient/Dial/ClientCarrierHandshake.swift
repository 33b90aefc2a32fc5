import Mux
import NIOCore
import TunnelAdmin
import TunnelCore

/// A client's carrier between its upgrade and its session.
final class ClientCarrierHandshake: CarrierReceiver {
    /// What the carrier is for.
    enum Outcome: Sendable {
        /// A session begins.
        case begins(ClientHandshake.Grant)
        /// The session that there was goes on, and the server has so many of its counted frames.
        case resumes(received: UInt64, ticket: [UInt8])
    }

    private var opening: ClientHandshake
    private let ticket: () -> ClientHandshake.Ticket?
    private let mayBegin: Bool
    private var carrier: Carrier?
    private var promise: EventLoopPromise<Outcome>?

    /// - Parameters:
    ///   - ticket: of the session that wants the carrier, asked for when it is needed; nil to begin one.
    ///   - mayBegin: whether a new session is wanted where the server does not know that one.
    ///   - promise: fails with a ``Refusal``, a ``MuxError`` or a ``CarrierLoss``.
    init(
        opening: ClientHandshake,
        ticket: @escaping () -> ClientHandshake.Ticket?,
        mayBegin: Bool,
        promise: EventLoopPromise<Outcome>
    ) {
        self.opening = opening
        self.ticket = ticket
        self.mayBegin = mayBegin
        self.promise = promise
    }

    func start(_ carrier: Carrier) {
        self.carrier = carrier
    }

    func carrier(received frame: InboundFrame) {
        do throws(MuxError) {
            let ticket = opening.awaitsChallenge ? ticket() : nil
            guard mayBegin || ticket != nil || !opening.awaitsChallenge else { return end(Self.sessionIsOver) }
            switch try opening.receive(frame, ticket: ticket) {
            case .send(let answer):
                send(answer)
            case .forgotten(let answer):
                guard mayBegin else { return end(Refusal(.unknownSession, "another server answered, or a new one")) }
                send(answer)
            case .established(let grant):
                finish(.success(.begins(grant)))
            case .resumed(let received, let ticket):
                finish(.success(.resumes(received: received, ticket: ticket)))
            case .refused(let refusal):
                // Whoever says no may leave the closing to us, and each dial would leave a connection behind.
                end(refusal)
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
