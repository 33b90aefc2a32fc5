import Mux
import NIOCore
import Synchronization
import TunnelCore

/// One dial from its first connection to its session, shared between the event loop and the task that waits for it.
final class DialAttempt: Sendable {
    private struct Connections {
        var channels: [any Channel] = []
        var upgraded: EventLoopPromise<Void>?
        var isCancelled = false
    }

    /// Succeeds when the server has proved itself.
    let outcome: EventLoopPromise<ClientCarrierHandshake.Outcome>
    /// The session. It begins or continues on the event loop together with the outcome, since the server's next frame
    /// may follow at once.
    let session: EventLoopFuture<ClientSessionHandle>
    let handshake: NIOLoopBound<ClientCarrierHandshake>
    let carrier: NIOLoopBoundBox<Carrier?>
    private let connections = Mutex(Connections())

    /// Must be called on `loop`, and `start` is called there.
    ///
    /// - Parameters:
    ///   - purpose: what the carrier is for.
    init(
        loop: any EventLoop,
        handshake: ClientHandshake,
        for purpose: DialPurpose,
        start: @escaping @Sendable (ClientCarrierHandshake.Outcome, Carrier) throws -> ClientSessionHandle
    ) {
        let outcome = loop.makePromise(of: ClientCarrierHandshake.Outcome.self)
        let carrier = NIOLoopBoundBox.makeEmptyBox(valueType: Carrier.self, eventLoop: loop)
        self.outcome = outcome
        self.carrier = carrier
        let handshake = ClientCarrierHandshake(
            handshake,
            ticket: { purpose.ticket() },
            mayBegin: purpose.mayBegin,
            promise: outcome
        )
        self.handshake = NIOLoopBound(handshake, eventLoop: loop)
        self.session = outcome.futureResult.flatMapThrowing { outcome in
            guard let carrier = carrier.value else { throw CarrierLoss(description: "there is no carrier") }
            return try start(outcome, carrier)
        }
    }

    /// Begins a connection.
    ///
    /// - Returns: false if the dial has been cancelled.
    func begin(_ upgraded: EventLoopPromise<Void>) -> Bool {
        let isWanted = connections.withLock { connections in
            connections.upgraded = upgraded
            return !connections.isCancelled
        }
        if !isWanted { upgraded.fail(CancellationError()) }
        return isWanted
    }

    /// Records a socket, one of perhaps several for a name with several addresses.
    func opened(_ channel: any Channel) {
        let isWanted = connections.withLock { connections in
            connections.channels.append(channel)
            return !connections.isCancelled
        }
        if !isWanted { channel.close(promise: nil) }
    }

    /// Cancels the dial: all of its connections end at once.
    func cancel() {
        let (channels, upgraded) = connections.withLock { connections in
            connections.isCancelled = true
            return (connections.channels, connections.upgraded)
        }
        upgraded?.fail(CancellationError())
        for channel in channels { channel.close(promise: nil) }
    }
}
