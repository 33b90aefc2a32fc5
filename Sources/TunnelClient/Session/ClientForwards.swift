import Mux
import NIOCore
import Synchronization
import TunnelCore

/// What ends a client's run besides its sessions.
enum ForwardEnd: Sendable {
    /// The stream of ``ClientConfiguration/socketForward`` has ended.
    case socket(SocketForward.End, to: Destination)
    /// A port cannot be bound, and ``ClientConfiguration/exitsOnForwardFailure`` is set.
    case failed(ForwardSpec, reason: String)
}

extension Client {
    /// The listeners of this run; on their event loop.
    func makeListeners(
        _ loop: any EventLoop,
        _ totals: TrafficTotals,
        _ ends: AsyncStream<ForwardEnd>.Continuation
    ) -> NIOLoopBound<ForwardListeners> {
        let listeners = ForwardListeners(
            forwards,
            loop: loop,
            limits: configuration.clientLimits,
            totals: totals,
            exitsOnFailure: configuration.exitsOnForwardFailure,
            logger: logger
        ) { event in
            switch event {
            case .listening(let forward, let port):
                let address = forward.listening(port)
                let isSocks = forward.target == .socks
                onEvent(
                    .forward(
                        address: isSocks ? "socks5://\(address)" : address,
                        service: isSocks ? "" : forward.service
                    )
                )
            case .failed(let forward, let reason):
                if configuration.exitsOnForwardFailure { ends.yield(.failed(forward, reason: reason)) }
            }
        }
        if let peerOwner { listeners.onSession = { peerOwner.value.connectionBegan($0) } }
        if let forward = configuration.socketForward {
            let stream = SocketForwardStream(forward, loop: loop, totals: totals) { end in
                ends.yield(.socket(end, to: forward.destination))
            }
            listeners.onSession = { stream.begin($0) }
        }
        return NIOLoopBound(listeners, eventLoop: loop)
    }

    /// Returns once the stream of the run's socket has ended, or when a forward has failed that must not; the session is
    /// over then.
    ///
    /// - Parameter failure: gets the error of the run, unless the stream has ended in order.
    func watch(_ ends: AsyncStream<ForwardEnd>, _ current: CurrentSessions, _ failure: RunFailure) async {
        for await end in ends {
            if let error = ClientError(end) { failure.set(error) }
            let sessions = current.stop()
            guard let session = sessions.first else {
                // The stream may have ended before its session was noted. The loop that dials then ends the session.
                if case .socket(let ending, _) = end, ending != .refused(.goingAway) { break }
                return
            }
            switch end {
            case .socket(.finished, let destination)
            where configuration.tunnels.isEmpty && configuration.forwards.isEmpty:
                if await !deliver(session) { failure.set(.undelivered(to: destination)) }
            case .socket(.finished, _):
                await stop(sessions)
            case .socket, .failed:
                for session in sessions { session.end() }
                for session in sessions { _ = try? await session.ended.get() }
            }
            return
        }
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
    }

    /// Ends a session once the server has acknowledged the last bytes of the run's socket, which may still wait for credit or
    /// for a carrier. Gives up after ``ClientConfiguration/drainTimeout``.
    ///
    /// - Returns: whether they were acknowledged.
    private func deliver(_ session: ClientSessionHandle) async -> Bool {
        session.drain()
        let timeout = Task {
            try await Task.sleep(for: configuration.drainTimeout)
            session.end()
        }
        defer { timeout.cancel() }
        return (try? await session.ended.get())?.isDelivered ?? false
    }
}

/// The error with which a run ends.
final class RunFailure: Sendable {
    private let stored = Mutex<ClientError?>(nil)

    var error: ClientError? { stored.withLock { $0 } }

    func set(_ error: ClientError) {
        stored.withLock { $0 = error }
    }
}

extension ClientError {
    /// The error with which the run ends; nil if the stream has ended in order, or if the program has closed it.
    init?(_ end: ForwardEnd) {
        switch end {
        case .failed(let forward, let reason):
            self = .configuration(
                "\(forward.flag) \(forward): cannot listen: \(reason); end what is there, or choose another place"
            )
        case .socket(.finished, _), .socket(.closed, _):
            return nil
        case .socket(.refused(.notAllowed), let destination):
            self = .refused(
                "the server does not let this client connect to \(destination); its operator can allow it with "
                    + "allow_connect or --allow-connect"
            )
        case .socket(.failed(let reason), let destination):
            self = .unreachable("the program's socket cannot be joined to a stream to \(destination): \(reason)")
        case .socket(.refused(.unreachable), .path(let path)):
            self = .unreachable("\(path): the server finds no such socket; check the path, and that its program runs")
        case .socket(.refused(let code), let destination):
            self = .unreachable("\(destination): \(Self.words(code))")
        }
    }

    /// The stream has ended in order at this end alone.
    fileprivate static func undelivered(to destination: Destination) -> ClientError {
        .unreachable(
            "the last bytes to \(destination) may be lost: the connection to the server broke, and the server has not "
                + "acknowledged them"
        )
    }

    private static func words(_ code: ResetCode) -> String {
        switch code {
        case .refused: "it refused the server's connection; check that it listens there"
        case .unreachable: "the server cannot reach it; check the name, and the server's network"
        case .timeout: "it did not answer the server in time; a firewall may drop the connection"
        case .busy: "the server has no room for the stream; try again"
        case .connectionReset: "it reset the connection"
        case .goingAway: "the session with the server is over"
        default: code.description
        }
    }
}
