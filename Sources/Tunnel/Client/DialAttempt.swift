import Mux
import NIOCore
import Synchronization

/// One dial from its first connection to its session, as the event loop and the task that waits for it share it.
final class DialAttempt: Sendable {
    private struct Connections {
        var channels: [any Channel] = []
        var upgraded: EventLoopPromise<Void>?
        var isCancelled = false
    }

    /// Done when the server has proved itself.
    let grant: EventLoopPromise<ClientOpening.Grant>
    /// The session, which begins on the event loop in the very moment of its grant: the server's next frame may be
    /// right behind.
    let session: EventLoopFuture<LiveSession>
    let greeting: NIOLoopBound<ClientGreeting>
    let carrier: NIOLoopBoundBox<Carrier?>
    private let connections = Mutex(Connections())

    /// Must be called on `loop`, and `start` is called there.
    init(
        loop: any EventLoop,
        opening: ClientOpening,
        start: @escaping @Sendable (ClientOpening.Grant, Carrier) -> LiveSession
    ) {
        let grant = loop.makePromise(of: ClientOpening.Grant.self)
        let carrier = NIOLoopBoundBox.makeEmptyBox(valueType: Carrier.self, eventLoop: loop)
        self.grant = grant
        self.carrier = carrier
        self.greeting = NIOLoopBound(ClientGreeting(opening: opening, promise: grant), eventLoop: loop)
        self.session = grant.futureResult.flatMapThrowing { granted in
            guard let carrier = carrier.value else { throw CarrierLoss(description: "there is no carrier") }
            return start(granted, carrier)
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
