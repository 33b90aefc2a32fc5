import Logging
import NIOCore
import NIOPosix
import TunnelCore

/// The HTTP server for operators of a running role, at one or several addresses. ``AdminRouter`` lists its requests.
///
/// It shares an event loop with the traffic and never blocks it: a request that concerns several loops asks each of them.
package final class AdminServer: Sendable {
    /// The addresses on which it listens, with the ports that the system has chosen.
    package var addresses: [ListenAddress] { listeners.map(\.address) }
    private let listeners: [AdminListener]
    private let loops: EventLoopMonitor

    private init(_ listeners: [AdminListener], _ loops: EventLoopMonitor) {
        self.listeners = listeners
        self.loops = loops
    }

    /// The failure to listen at an address that the operator has named.
    package struct BindFailure: Error {
        package let address: ListenAddress
        /// The reason, for a person.
        package let reason: String
    }

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - places: the addresses that the operator has named, and the standard socket.
    ///   - role: the server or client that answers.
    ///   - metrics: returns the metrics in Prometheus' text format; nil if the program collects none.
    ///   - group: the event loops of the role, which are monitored. One of them serves the operator's connections.
    ///   - limits: returns the present limits; called for each connection.
    /// - Returns: the server; nil if it listens nowhere.
    /// - Throws: ``BindFailure`` if a named address cannot be bound. The standard socket is left out with a log line.
    package static func start(
        _ places: AdminPlaces,
        role: any AdminTarget,
        metrics: (@Sendable () -> String)?,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        limits: @escaping @Sendable () -> AdminLimits,
        logger: Logger
    ) async throws(BindFailure) -> AdminServer? {
        guard !places.isEmpty else { return nil }
        let loops = EventLoopMonitor(loops: Array(group.makeIterator()), now: .now)
        let responder = AdminResponder(role: role, loops: loops, metrics: metrics)
        var listeners: [AdminListener] = []
        for address in places.addresses {
            do {
                let listener = try await AdminListener.open(
                    address,
                    on: group.next(),
                    limits: limits,
                    answers: responder.answers(at: address)
                )
                if !address.isLocal {
                    logger.warning("the admin address can be reached from other machines: /metrics is open to them")
                }
                logger.notice("admin listening", metadata: ["address": "\(listener.address)"])
                listeners.append(listener)
            } catch {
                await AdminServer(listeners, loops).stop()
                throw BindFailure(address: address, reason: address.bindFailureReason(error))
            }
        }
        if let socket = places.furtherSocket, let listener = await open(socket, responder, group.next(), limits, logger)
        {
            listeners.append(listener)
        }
        guard !listeners.isEmpty else {
            loops.stop()
            return nil
        }
        return AdminServer(listeners, loops)
    }

    /// Stops listening and removes the files of unix sockets.
    package func stop() async {
        loops.stop()
        for listener in listeners { await listener.close() }
    }

    /// Listens at the standard socket; nil if that is not possible, which is logged.
    private static func open(
        _ path: String,
        _ responder: AdminResponder,
        _ loop: any EventLoop,
        _ limits: @escaping @Sendable () -> AdminLimits,
        _ logger: Logger
    ) async -> AdminListener? {
        let address = ListenAddress.unix(path: path)
        do {
            AdminPlaces.makeFolder(of: path)
            let listener = try await AdminListener.open(
                address,
                on: loop,
                limits: limits,
                answers: responder.answers(at: address)
            )
            logger.info("admin listening", metadata: ["address": "\(address)"])
            return listener
        } catch {
            logger.notice(
                "no standard admin socket, and all else works; --admin names another one, or none",
                metadata: ["address": "\(address)", "reason": "\(address.bindFailureReason(error))"]
            )
            return nil
        }
    }
}
