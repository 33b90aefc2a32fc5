import NIOCore

/// Closes sockets by a reset (RST).
package enum SocketReset {
    /// The waits between two checks of what the kernel has to send: they double from the first to the last.
    package static let waits: (first: TimeAmount, longest: TimeAmount) = (.milliseconds(5), .milliseconds(320))

    /// Closes a socket by a reset once the other side has acknowledged everything that the kernel was given. A reset at
    /// once would discard what the kernel still holds.
    ///
    /// - Parameter limit: how long the other side may take.
    package static func afterSending(_ channel: any Channel, within limit: TimeAmount) {
        // Set now, in case the process ends before: a cut must not look like a complete stream.
        SocketOptions.resetOnClose(channel)
        check(channel, wait: waits.first, deadline: .now() + limit)
    }

    private static func check(_ channel: any Channel, wait: TimeAmount, deadline: NIODeadline) {
        guard channel.isActive else { return }
        guard let state = TCPState(channel), state.isSending, NIODeadline.now() < deadline else {
            return channel.close(promise: nil)
        }
        channel.eventLoop.assumeIsolated().scheduleTask(in: wait) {
            check(channel, wait: min(wait * 2, waits.longest), deadline: deadline)
        }
    }
}
