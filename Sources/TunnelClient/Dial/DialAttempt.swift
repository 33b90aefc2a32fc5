import Mux
import NIOCore
import Synchronization
import TunnelCore

/// One dial from its first connection to its session, as the event loop and the task that waits for it share it.
final class DialAttempt: Sendable {
    private struct Connections {
        var channels: [any Channel] = []
        var upgraded: EventLoopPromise<Void>?
        var isCancelled = false
    }

    /// Done when the server has proved itself.
    let outcome: EventLoopPromise<ClientCarrierHandshake.Outcome>
    /// The session, which begins or goes on in the very moment of that, on the event loop: the server's next frame may
    /// be right behind.
    let session: EventLoopFuture<ClientSessionHandle>
    let greeting: NIOLoopBound<ClientCarrierHandshake>
    let carrier: NIOLoopBoundBox<Carrier?>
    private let connections = Mutex(Connections())

    /// Must be called on `loop`, and `start` is called there.
    ///
    /// - Parameters:
    ///   - session: the one that wants a carrier; nil where there is none.
    ///   - mayBegin: whether another one may begin where the server does not know it.
    init(
        loop: any EventLoop,
        opening: ClientHandshake,
        for session: ClientSessionHandle?,
        mayBegin: Bool,
        start: @escaping @Sendable (ClientCarrierHandshake.Outcome, Carrier) throws -> ClientSessionHandle
    ) {
        let outcome = loop.makePromise(of: ClientCarrierHandshake.Outcome.self)
        let carrier = NIOLoopBoundBox.makeEmptyBox(valueType: Carrier.self, eventLoop: loop)
        self.outcome = outcome
        self.carrier = carrier
        let greeting = ClientCarrierHandshake(
            opening: opening,
            ticket: { session?.ticket() },
            mayBegin: mayBegin,
            promise: outcome
        )
        self.greeting = NIOLoopBound(greeting, eventLoop: loop)
        self.session = outcome.futureResult.flatMapThrowing { outcome in
            guard let carrier = carrier.value else { throw CarrierLoss(description: "there is no carrier") }
            return try start(outcome, carrier)
        }
    }

    /// A connection is about to be made; false where nobody wants it any more.
    func begin(_ upgraded: EventLoopPromise<Void>) -> Bool {
        let isWanted = connections.withLock { connections in
            connections.upgraded = upgraded
            return !connections.isCancelled
        }
        if !isWanted { upgraded.fail(CancellationError()) }
        return isWanted
    }

    /// A socket has been opened, one of perhaps several for a name with several addresses.
    func opened(_ channel: any Channel) {
        let isWanted = connections.withLock { connections in
            connections.channels.append(channel)
            return !connections.isCancelled
        }
        if !isWanted { channel.close(promise: nil) }
    }

    /// Nobody wants the session any more: whatever is under way ends at once.
    func cancel() {
        let (channels, upgraded) = connections.withLock { connections in
            connections.isCancelled = true
            return (connections.channels, connections.upgraded)
        }
        upgraded?.fail(CancellationError())
        for channel in channels { channel.close(promise: nil) }
    }
}
