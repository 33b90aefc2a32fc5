import NIOCore

/// Decides whether a listening socket accepts. It does not while its owner has no room, while connections come faster than
/// they may, and while the process has no descriptor left. NIO backs off then as well, but leaves the socket readable and
/// spins.
package final class AcceptGate: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    /// How long accepting pauses when the process has no descriptor left.
    package static let withoutDescriptors = TimeAmount.milliseconds(500)
    /// NIO's own number of connections in one iteration.
    private static let acceptedAtOnce: UInt = 4

    private enum State {
        case accepting
        /// Pauses until then; the latest deadline counts.
        case resting(until: NIODeadline)
    }

    private let descriptors: DescriptorCount
    private var channel: (any Channel)?
    private var state = State.accepting
    /// Whether there is a descriptor for the next connection: asked when a rest ends.
    package var hasDescriptor: () -> Bool = { true }
    /// Called for each connection.
    package var onAccepted: () -> Void = {}
    /// Called when the system had no descriptor for a connection.
    package var onShortage: () -> Void = {}

    package init(descriptors: DescriptorCount = .shared) {
        self.descriptors = descriptors
    }

    /// Whether the owner has room.
    package var isWanted = true {
        didSet { if isWanted != oldValue { apply() } }
    }

    /// Whether one connection is accepted in an iteration of the loop, in place of several: a rest that one of several
    /// begins does not stop the others.
    package var acceptsSingly = false {
        didSet {
            guard acceptsSingly != oldValue, let channel else { return }
            let count: UInt = acceptsSingly ? 1 : Self.acceptedAtOnce
            channel.setOption(.maxMessagesPerRead, value: count).whenFailure { _ in
                // Closed meanwhile: it accepts none.
            }
        }
    }

    private func apply() {
        guard let channel else { return }
        let isAccepting = if case .accepting = state { isWanted } else { false }
        channel.setOption(.autoRead, value: isAccepting).whenFailure { _ in
            // Closed meanwhile: it accepts none either way.
        }
    }

    /// Accepts no connection for a while.
    package func rest(for time: TimeAmount) {
        guard let channel else { return }
        let end = NIODeadline.now() + time
        switch state {
        case .accepting:
            state = .resting(until: end)
            apply()
            wakeUp(at: end, on: channel.eventLoop)
        case .resting(let until):
            state = .resting(until: max(until, end))
        }
    }

    private func wakeUp(at deadline: NIODeadline, on loop: any EventLoop) {
        loop.assumeIsolated().scheduleTask(deadline: deadline) {
            guard case .resting(let until) = self.state else { return }
            let now = NIODeadline.now()
            guard now >= until else { return self.wakeUp(at: until, on: loop) }
            guard self.hasDescriptor() else {
                let later = now + Self.withoutDescriptors
                self.state = .resting(until: later)
                return self.wakeUp(at: later, on: loop)
            }
            self.state = .accepting
            self.apply()
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        descriptors.track(unwrapInboundIn(data))
        onAccepted()
        context.fireChannelRead(data)
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        channel = context.channel
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        channel = nil
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard case .outOfDescriptors? = SocketFailure(error) else { return context.fireErrorCaught(error) }
        onShortage()
        rest(for: Self.withoutDescriptors)
    }
}
