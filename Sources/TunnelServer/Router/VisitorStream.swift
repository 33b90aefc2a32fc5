import Mux
import NIOCore
import TunnelCore

/// What the visitor's side learns of its stream.
protocol VisitorStreamReceiver: AnyObject {
    /// The stream has brought bytes. ``VisitorStream/taken(_:)`` must follow for as many.
    func stream(_ stream: VisitorStream, received bytes: [ByteBuffer])
    /// The stream brings nothing more.
    func streamEnded(_ stream: VisitorStream)
    /// The stream is gone.
    func stream(_ stream: VisitorStream, failed failure: StreamFailure)
    /// The stream takes bytes again.
    func streamHasRoom(_ stream: VisitorStream)
    /// The stream should carry no further request.
    func streamIsReleased(_ stream: VisitorStream)
    /// The session has opened the stream, if the visitor is another server's.
    func streamBegan(_ stream: VisitorStream)
    /// The other end has accepted the stream, if its member reports that.
    func streamIsAccepted(_ stream: VisitorStream)
}

extension VisitorStreamReceiver {
    func streamIsReleased(_ stream: VisitorStream) {}
    func streamBegan(_ stream: VisitorStream) {}
    func streamIsAccepted(_ stream: VisitorStream) {}
}

/// A reason for which a visitor's stream is gone.
enum StreamFailure: Sendable, Hashable {
    /// The session has no carrier, no room, or has ended.
    case unavailable
    /// The visitor is not admitted.
    case refused(VisitorRefusal)
    /// The client has reset the stream.
    case reset(ResetCode)

    /// Whether another server may take the visitor: the session's server is not reached, stops, or has not the session any
    /// more.
    var isOfServer: Bool {
        switch self {
        case .unavailable, .reset(.moved), .reset(.goingAway): true
        case .refused, .reset: false
        }
    }
}

/// A stream to a client's service, on the visitor's event loop: from a connection of the router to ``RoutedStream``.
///
/// It holds no bytes. ``hasRoom`` bounds what is on the way to the session's event loop, so the visitor is read only while
/// the session takes its bytes.
final class VisitorStream {
    private enum State {
        /// Bytes flow, in the directions that have not ended.
        case open(isFinished: Bool, hasEnded: Bool)
        case closed
    }

    /// Bytes on the way to the session that it has not queued. 128 KiB: two frames while two more are read.
    static let window = 131_072

    /// The member that the stream leads to.
    let member: RouteMember
    weak var receiver: (any VisitorStreamReceiver)?
    private let link: VisitorLink
    private var state = State.open(isFinished: false, hasEnded: false)
    private var unqueued = 0
    /// Whether the stream ends with its present request, because its tunnel is not public any more.
    private var isReleased = false
    /// Messages for the session's side until it exists; nil if the event loop of the session keeps them in order.
    private var backlog: [@Sendable (RoutedStream) -> Void]?
    /// The last time that a request on it ended.
    var idleSince = NIODeadline.now()

    private init(_ member: RouteMember, _ link: VisitorLink, keepsBacklog: Bool) {
        (self.member, self.link) = (member, link)
        if keepsBacklog { backlog = [] }
    }

    /// Opens a stream to a member.
    ///
    /// - Parameter loop: the visitor's event loop, on which this is called.
    static func open(to member: RouteMember, for visitor: RoutedVisitor, on loop: any EventLoop) -> VisitorStream {
        let link = VisitorLink(visitorLoop: loop, sessionLoop: member.loop)
        // A session at another server may still have to be dialled.
        let stream = VisitorStream(member, link, keepsBacklog: loop === member.loop || member.isRemote)
        link.visitor.set(stream)
        member.open(visitor, link)
        return stream
    }

    /// Whether the stream can carry another request.
    var isOpen: Bool {
        if case .open(isFinished: false, hasEnded: false) = state { !isReleased } else { false }
    }

    // MARK: To the session

    private func tell(_ message: @escaping @Sendable (RoutedStream) -> Void) {
        if backlog == nil { link.session.send(message) } else { backlog?.append(message) }
    }

    /// The session's side exists.
    func joined() {
        guard let messages = backlog else { return }
        backlog = nil
        for message in messages { link.session.send(message) }
        if case .closed = state { link.visitor.clear() }
    }

    /// Whether the stream takes more bytes.
    var hasRoom: Bool { unqueued < Self.window }

    /// Sends bytes.
    func send(_ bytes: ByteBuffer) {
        guard case .open(isFinished: false, _) = state, bytes.readableBytes > 0 else { return }
        unqueued += bytes.readableBytes
        tell { $0.receive(bytes) }
    }

    /// Ends this direction: FIN for the service.
    func finish() {
        guard case .open(isFinished: false, let hasEnded) = state else { return }
        state = .open(isFinished: true, hasEnded: hasEnded)
        tell { $0.finish() }
        if hasEnded { close() }
    }

    /// Resets the stream: RST for the service.
    func reset() {
        guard case .open = state else { return }
        tell { $0.resetByVisitor() }
        close()
    }

    /// Leaves the stream: FIN for the service, which has some time to end its side.
    func leave() {
        guard case .open = state else { return }
        tell { $0.leave() }
        close()
    }

    /// The visitor has taken bytes of the stream, and gets credit for as many more.
    func taken(_ count: Int) {
        guard count > 0 else { return }
        tell { $0.taken(count) }
    }

    private func close() {
        state = .closed
        receiver = nil
        // Otherwise the session's side has still to learn of the end.
        if backlog == nil { link.visitor.clear() }
    }

    // MARK: From the session

    func receive(_ bytes: [ByteBuffer]) {
        if let receiver {
            receiver.stream(self, received: bytes)
        } else {
            taken(bytes.reduce(0) { $0 + $1.readableBytes })
        }
    }

    func ended() {
        guard case .open(let isFinished, hasEnded: false) = state else { return }
        state = .open(isFinished: isFinished, hasEnded: true)
        let receiver = receiver
        if isFinished { close() }
        receiver?.streamEnded(self)
    }

    func failed(_ failure: StreamFailure) {
        backlog = nil
        guard case .open = state else { return link.visitor.clear() }
        let receiver = receiver
        close()
        receiver?.stream(self, failed: failure)
    }

    /// The tunnel is not public any more: the stream carries no further request.
    func release() {
        isReleased = true
        receiver?.streamIsReleased(self)
    }

    /// The session has opened the stream.
    func began() {
        if case .open = state { receiver?.streamBegan(self) }
    }

    /// The other end has accepted the stream.
    func accepted() {
        if case .open = state { receiver?.streamIsAccepted(self) }
    }

    /// The session has queued bytes.
    func queued(_ count: Int) {
        let hadRoom = hasRoom
        unqueued -= count
        if !hadRoom, hasRoom { receiver?.streamHasRoom(self) }
    }
}
