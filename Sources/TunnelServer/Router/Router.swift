import HTTP1
import HTTPRelay
import Logging
import NIOCore
import Synchronization
import TunnelCore

/// Decides where the visitors of host names go. All event loops share it.
///
/// ```
///  request ──▶ Host ──▶ the endpoint's own host and path ──▶ ServerConnection
///                  ├──▶ a public name ──▶ Exchange ──▶ VisitorStream ──▶ the client's session
///                  ├──▶ any other host, the endpoint's path ──▶ ServerConnection
///                  ├──▶ the backend, if there is one
///                  └──▶ 404
/// ```
final class Router: Sendable {
    /// What becomes of a request.
    enum Decision {
        case answer(StatusPage, reason: String)
        case relay(RelayedRequest, RouteMember, Route, RoutedVisitor)
        /// The connection belongs to the endpoint or the backend.
        case handOver((any Channel, RequestHead, ByteBuffer) throws -> Void)
    }

    let core: ServerCore
    let slots = ConnectionSlots()
    private let logger: Logger
    /// Whether the endpoint's requests are accepted on the router's addresses.
    private let visitors = Mutex<[ObjectIdentifier: @Sendable () -> Void]>([:])

    init(_ core: ServerCore, logger: Logger) {
        (self.core, self.logger) = (core, logger)
    }

    var limits: ServerLimits { core.configuration.serverLimits }

    /// Whether the server accepts nothing new.
    var isStopping: Bool { core.isStopping }

    // MARK: Connections

    /// A connection is there.
    func joined(_ visitor: HTTPVisitor) {
        let bound = NIOLoopBound(visitor, eventLoop: visitor.channel.eventLoop)
        visitors.withLock { visitors in
            visitors[ObjectIdentifier(visitor)] = { bound.eventLoop.execute { bound.value.drain() } }
        }
    }

    /// A connection is gone.
    func left(_ visitor: HTTPVisitor) {
        _ = visitors.withLock { $0.removeValue(forKey: ObjectIdentifier(visitor)) }
    }

    /// Closes the connections that wait for a request. The others close behind their answers.
    func drain() {
        for drain in visitors.withLock({ Array($0.values) }) { drain() }
    }

    // MARK: Requests

    /// Decides about a request.
    func decide(_ head: RequestHead, _ framing: BodyFraming, from visitor: HTTPVisitor) -> Decision {
        do throws(RelayedRequest.Refusal) {
            return try decision(head, framing, visitor)
        } catch {
            return .answer(.refusal(status: error.status), reason: error.reason)
        }
    }

    private func decision(
        _ head: RequestHead,
        _ framing: BodyFraming,
        _ visitor: HTTPVisitor
    ) throws(RelayedRequest.Refusal) -> Decision {
        let configuration = core.configuration
        let destination = try RelayedRequest.destination(of: head)
        let (routed, origin) = visitor.origin.of(head)
        if visitor.origin.front != nil { visitor.record?.named = routed.description }
        let isEndpoint = destination.path == configuration.path
        if isEndpoint, let own = configuration.endpointHost, destination.name == own { return endpoint(visitor) }
        if let name = destination.name, core.resources.routes.has(name) {
            visitor.record?.name = name.description
            return try relay(head, framing, to: destination, name, routed, origin, configuration)
        }
        if isEndpoint, configuration.endpointHost == nil { return endpoint(visitor) }
        if let backend = configuration.backend { return try self.backend(backend, head, origin, visitor) }
        return .answer(.notFound, reason: "no service has this name")
    }

    private func relay(
        _ head: RequestHead,
        _ framing: BodyFraming,
        to destination: RelayedRequest.Destination,
        _ name: PublicName,
        _ routed: RoutedVisitor,
        _ origin: RequestOrigin,
        _ configuration: ServerConfiguration
    ) throws(RelayedRequest.Refusal) -> Decision {
        guard let route = core.resources.routes.http(name, path: destination.path) else {
            return .answer(.notFound, reason: "no service has this path")
        }
        if configuration.redirectsToHTTPS, !origin.isSecure, let port = core.resources.routes.ports.https,
            core.certificateNames.covers(name.description)
        {
            let place = port == 443 ? name.description : "\(name):\(port)"
            return .answer(.redirect(to: "https://\(place)\(destination.target)"), reason: "redirect_https")
        }
        guard let member = route.member(for: routed.address) else {
            return .answer(.unavailable(retryAfter: 10), reason: "no service of this name is healthy")
        }
        let request = try RelayedRequest(head, framing, to: destination, from: origin, rules: member.rules)
        return .relay(request, member, route, routed)
    }

    // MARK: The endpoint and the backend

    private func endpoint(_ visitor: HTTPVisitor) -> Decision {
        let origin = visitor.origin
        return .handOver { [core] channel, head, rest in
            try core.adopt(channel, origin, head, rest)
        }
    }

    private func backend(
        _ backend: Backend,
        _ head: RequestHead,
        _ origin: RequestOrigin,
        _ visitor: HTTPVisitor
    ) throws(RelayedRequest.Refusal) -> Decision {
        let forwarded: RequestHead
        let body: RequestBody
        do throws(Backend.Refusal) {
            forwarded = try backend.forwarded(head, origin: origin.address, isSecure: origin.isSecure)
        } catch {
            throw RelayedRequest.Refusal(status: error.status, reason: error.reason)
        }
        do throws(HTTP1Error) {
            body = try RequestBody(of: head)
        } catch {
            throw RelayedRequest.Refusal(status: error.status, reason: error.description)
        }
        let limits = limits
        let (slots, address) = (core.backendSlots, visitor.origin.address.map(Admission.key))
        guard slots.enter(address, limit: limits.backendConnections) else {
            return .answer(.unavailable(retryAfter: 2), reason: "as many connections to the backend as there may be")
        }
        visitor.channel.closeFuture.whenComplete { _ in slots.leave(address) }
        return .handOver { channel, _, rest in backend.take(channel, forwarded, body, rest: rest, limits: limits) }
    }

    // MARK: The log

    /// Writes a request's line to the log.
    func log(_ record: RequestRecord) {
        guard logger.logLevel <= .info else { return }
        core.resources.logs.requests.log("request", at: .info, to: logger, record.metadata)
    }

    /// A connection was closed without an answer.
    func refused(_ reason: String, _ origin: VisitorOrigin) {
        core.resources.logs.refusedRequests.log(
            "visitor refused",
            at: .info,
            to: logger,
            ["visitor": "\(origin.description)", "reason": "\(reason)"]
        )
    }

    /// A connection has failed.
    func noteFailure(_ error: any Error, of origin: VisitorOrigin) {
        guard logger.logLevel <= .debug else { return }
        logger.debug(
            "visitor's connection has failed",
            metadata: ["visitor": "\(origin.description)", "reason": "\(error.userDescription)"]
        )
    }
}
