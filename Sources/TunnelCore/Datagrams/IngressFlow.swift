import Logging
import Mux
import NIOCore

/// A flow of a UDP port: the datagrams of one sender, whose replies leave by the port's socket.
package final class IngressFlow: DatagramFlow, CountedStream {
    /// What a new flow belongs to.
    package struct Opening {
        package let session: SessionLoop
        package let request: OpenRequest
        package let identity: StreamIdentity
        package let logger: Logger
        /// The rates of the flow's client and tunnel. Its time of silence is the port's.
        package var policy = StreamPolicy.unbounded
        /// Called once the flow is over, with the reason; without one if it gets no stream.
        package var onEnd: ((SocketState.Ending?) -> Void)?

        package init(_ session: SessionLoop, _ request: OpenRequest, identity: StreamIdentity, logger: Logger) {
            (self.session, self.request, self.identity, self.logger) = (session, request, identity, logger)
        }
    }

    /// Whether a new sender gets a flow.
    package enum Admission {
        case flow(Opening)
        /// It may have none.
        case refused
        /// There are too many; an older one may give way.
        case full
    }

    private enum State {
        case waiting
        case open(StreamID)
        case ended
    }

    /// Itself and its entries in the port's tables.
    package let cost = 1_024
    /// The sender.
    package let remote: SocketAddress
    private let opening: Opening
    private let socket: PortSocket
    /// What stands before each reply.
    private let header: ByteBuffer
    private let onEnd: () -> Void
    private var state = State.waiting
    private var silence: FlowSilence
    private var counts = StreamPipe.ByteCounts()

    init(
        _ remote: SocketAddress,
        _ opening: Opening,
        _ socket: PortSocket,
        header: ByteBuffer,
        silence limits: FlowSilence.Limits,
        onEnd: @escaping () -> Void
    ) {
        self.remote = remote
        self.opening = opening
        self.socket = socket
        self.header = header
        self.onEnd = onEnd
        silence = FlowSilence(limits, now: .now)
    }

    /// Opens the flow's stream.
    ///
    /// - Returns: false if the session has no room.
    func begin() -> Bool {
        guard case .waiting = state, let id = opening.session.open(opening.request, self) else { return false }
        state = .open(id)
        identity.statistics.joined(self)
        identity.logBegin(to: opening.logger)
        return true
    }

    /// The flow gets no stream.
    func abandon() {
        guard case .waiting = state else { return }
        state = .ended
        opening.onEnd?(nil)
    }

    private var dropped: DroppedDatagrams { identity.statistics.metrics.droppedDatagrams }

    var deadline: Instant { silence.deadline }

    var isAnswered: Bool { silence.isAnswered }

    var isConversation: Bool { silence.isConversation }

    /// Whether the flow has its stream.
    var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    package var id: StreamID? {
        if case .open(let id) = state { id } else { nil }
    }

    package var identity: StreamIdentity { opening.identity }

    package var moved: StreamPipe.ByteCounts { counts }

    /// The sender's next datagram.
    func received(_ datagram: ByteBuffer) {
        guard case .open(let id) = state else { return }
        guard opening.policy.admitsRead(datagram.readableBytes) else { return dropped.add(.rate) }
        counts.fromSocket += datagram.readableBytes
        silence.sent(now: .now)
        opening.session.run(.datagram(id, datagram.dense(from: 2)))
    }

    package func deliver(_ datagram: ByteBuffer) {
        guard case .open = state else { return }
        guard opening.policy.admitsWrite(datagram.readableBytes) else { return dropped.add(.rate) }
        counts.toSocket += datagram.readableBytes
        silence.received(now: .now)
        guard header.readableBytes > 0 else { return socket.send(datagram, to: remote) }
        var whole = header
        whole.writeImmutableBuffer(datagram)
        socket.send(whole, to: remote)
    }

    package func flush() {
        socket.flush()
    }

    package func ended(_ code: ResetCode) {
        end(.resetByOtherEnd(code))
    }

    /// Ends the flow, which has been silent for too long, or whose port is closed.
    func expire(_ code: ResetCode) {
        guard case .open(let id) = state else { return }
        opening.session.run(.reset(id, code))
        end(code == .timeout ? .idle : .resetByThisSocket)
    }

    private func end(_ ending: SocketState.Ending) {
        guard case .open(let id) = state else { return }
        state = .ended
        identity.logEnd(of: id, moved, ending, to: opening.logger)
        identity.statistics.left(self)
        onEnd()
        opening.onEnd?(ending)
    }
}
