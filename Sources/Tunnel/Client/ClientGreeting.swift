import Mux
import NIOCore

/// A client's carrier between its upgrade and its session.
final class ClientGreeting: CarrierReceiver {
    private var opening: ClientOpening
    private var carrier: Carrier?
    private var promise: EventLoopPromise<ClientOpening.Grant>?

    /// - Parameter promise: fails with a ``Refusal``, a ``MuxError`` or a ``CarrierLoss``.
    init(opening: ClientOpening, promise: EventLoopPromise<ClientOpening.Grant>) {
        self.opening = opening
        self.promise = promise
    }

    func start(_ carrier: Carrier) {
        self.carrier = carrier
    }

    func carrier(received frame: InboundFrame) {
        do throws(MuxError) {
            switch try opening.receive(frame) {
            case .send(let answer):
                carrier?.send(answer)
                carrier?.flush()
            case .established(let grant):
                finish(.success(grant))
            case .refused(let refusal):
                finish(.failure(refusal))
            }
        } catch {
            carrier?.close(.protocolError, reason: error.kind.rawValue)
            finish(.failure(error))
        }
    }

    func carrier(violatedBy error: MuxError) {
        finish(.failure(error))
    }

    func carrierReadCompleted() {}
    func carrierBecameWritable() {}

    func carrierLost(_ loss: CarrierLoss) {
        finish(.failure(loss))
    }

    private func finish(_ result: Result<ClientOpening.Grant, any Error>) {
        carrier = nil
        promise?.completeWith(result)
        promise = nil
    }
}
