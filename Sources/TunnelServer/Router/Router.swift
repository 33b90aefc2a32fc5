import HTTP1
import HTTPRelay
import Logging
import Mux
import NIOCore
import NetworkAddress
import Synchronization
import TunnelCore

/// A visitor's connection that ends in order when the server stops.
protocol RoutedConnection: AnyObject {
    var channel: any Channel { get }
    /// Closes the connection once it has answered what it was asked.
    func drain()
    /// Closes the connection if it waits for a request.
    func shed()
}

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
        /// The connection belongs to the endpoint.
        case endpoint
        /// The connection belongs to the backend.
        case backend(Backend, RequestOrigin)
    }

    let core: ServerCore
    let slots = ConnectionSlots()
    private let logins = Mutex(VisitorLogins(key: SecureRandom.bytes(32)))
    private let logger: Logger
    private struct Connection {
        let channel: any Channel
        /// Ends it in order.
        let drain: @Sendable () -> Void
        /// Ends it if it waits.
        let shed: @Sendable () -> Void
    }

    /// The least time between two rounds of closing connections that wait.
    private static let shedding = TimeAmount.seconds(1)
    private let lastShed = Mutex(NIODeadline.uptimeNanoseconds(0))

    private let connections = Mutex<[ObjectIdentifier: Connection]>([:])

    init(_ core: ServerCore, logger: Logger) {
        (self.core, self.logger) = (core, logger)
    }

    var limits: ServerLimits { core.routerRules.limits }

    /// Whether the server accepts nothing new.
    var isStopping: Bool { core.isStopping }

    // MARK: Connections

    /// A connection is there.
    func joined(_ connection: any RoutedConnection) {
        let bound = NIOLoopBound(connection, eventLoop: connection.channel.eventLoop)
        connections.withLock { connections in
            connections[ObjectIdentifier(connection)] = Connection(
                channel: bound.value.channel,
                drain: { bound.eventLoop.execute { bound.value.drain() } },
                shed: { bound.eventLoop.execute { bound.value.shed() } }
            )
        }
    }

    /// A connection is gone.
    func left(_ connection: any RoutedConnection) {
        _ = connections.withLock { $0.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    /// Closes the connections that wait for a request. The others close behind their answers.
    ///
    /// - Returns: all of them. A stream may have ended while its last bytes wait for a slow visitor.
    func drain() -> [any Channel] {
        let all = connections.withLock { Array($0.values) }
        for connection in all { connection.drain() }
        return all.map(\.channel)
    }

    /// Closes the connections that wait for a request, because there are as many connections as there may be. A flood of
    /// silent visitors then keeps others out for no longer than a second.
    func shed() {
        let now = NIODeadline.now()
        let isDue = lastShed.withLock { last in
            guard now - last >= Self.shedding else { return false }
            last = now
            return true
        }
        guard isDue else { return }
        for connection in connections.withLock({ Array($0.values) }) { connection.shed() }
    }

    // MARK: Requests

    /// Decides about a request.
    ///
    /// - Parameter record: gets what is known of the request by then.
    func decide(
        _ head: RequestHead,
        _ framing: BodyFraming,
        _ visitor: VisitorOrigin,
        _ record: inout RequestRecord?
    ) -> Decision {
        do throws(RelayedRequest.Refusal) {
            return try decision(head, framing, visitor, &record)
        } catch {
            return .answer(.refusal(status: error.status), reason: error.reason)
        }
    }

    private func decision(
        _ head: RequestHead,
        _ framing: BodyFraming,
        _ visitor: VisitorOrigin,
        _ record: inout RequestRecord?
    ) throws(RelayedRequest.Refusal) -> Decision {
        let configuration = core.routerRules
        let destination = try RelayedRequest.destination(of: head)
        if let answer = challenge(head, destination, visitor) { return .answer(answer, reason: "a CA's challenge") }
        let (routed, origin) = visitor.of(head)
        if visitor.front != nil { record?.named = routed.description }
        if let reason = misdirection(destination.name, visitor) { return .answer(.misdirected, reason: reason) }
        let isEndpoint = destination.path == configuration.path
        if isEndpoint, let own = configuration.endpointHost, destination.name == own { return .endpoint }
        // Any host may be the endpoint's. A client that has the name must not get the other clients.
        if isEndpoint, configuration.endpointHost == nil, configuration.sharesAddress,
            head.fields.contains("Sec-WebSocket-Protocol", token: subprotocolName)
        {
            return .endpoint
        }
        if let name = destination.name, core.resources.routes.has(name) {
            record?.name = name.description
            return try relay(head, framing, to: destination, name, routed, origin, configuration)
        }
        if isEndpoint, configuration.endpointHost == nil { return .endpoint }
        if let backend = configuration.backend { return .backend(backend, origin) }
        return .answer(.notFound, reason: "no service has this name")
    }

    /// What a CA wants to see for a name that it is about to certify (RFC 8555 section 8.3); nil for all other requests.
    private func challenge(
        _ head: RequestHead,
        _ destination: RelayedRequest.Destination,
        _ visitor: VisitorOrigin
    ) -> StatusPage? {
        guard let acme = core.acme, !visitor.isSecure, head.method == "GET",
            destination.path.hasPrefix("/.well-known/acme-challenge/"),
            let token = destination.path.split(separator: "/").last
        else { return nil }
        return acme.challenge(token: String(token)).map(StatusPage.text)
    }

    /// Why a connection over TLS does not serve a name, because its certificate is another's; nil if it does. Browsers use
    /// one connection for several names that one certificate covers.
    private func misdirection(_ name: PublicName?, _ visitor: VisitorOrigin) -> String? {
        guard visitor.isSecure, let own = visitor.serverName, let name, name != own else { return nil }
        if core.resources.routes.tls(name) != nil { return "the name's TLS is passed through" }
        guard core.certificateID(for: own.description) == core.certificateID(for: name.description),
            core.resources.routes.hasHTTP(name)
        else { return "the connection's certificate or listener does not serve the name" }
        return nil
    }

    private func relay(
        _ head: RequestHead,
        _ framing: BodyFraming,
        to destination: RelayedRequest.Destination,
        _ name: PublicName,
        _ routed: RoutedVisitor,
        _ origin: RequestOrigin,
        _ configuration: RouterRules
    ) throws(RelayedRequest.Refusal) -> Decision {
        guard let route = core.resources.routes.http(name, path: destination.path) else {
            return .answer(.notFound, reason: "no service has this path")
        }
        if configuration.redirectsToHTTPS, !origin.isSecure, destination.target.hasPrefix("/"),
            let port = core.resources.routes.ports.https,
            core.certificateID(for: name.description) != nil
        {
            let place = port == 443 ? name.description : "\(name):\(port)"
            return .answer(.redirect(to: "https://\(place)\(destination.target)"), reason: "redirect_https")
        }
        guard let member = route.member(for: routed.address) else {
            return .answer(.unavailable(retryAfter: 10), reason: "no service of this name is healthy")
        }
        if let passwords = member.passwords, let page = login(head, passwords, routed.address) {
            return .answer(page, reason: page.sentence)
        }
        let request = try RelayedRequest(
            head,
            framing,
            to: destination,
            from: origin,
            rules: member.rules,
            removesCredentials: member.passwords != nil
        )
        return .relay(request, member, route, routed)
    }

    /// Checks a visitor's password. A check takes some milliseconds of the event loop; few of them are made in a second.
    ///
    /// - Returns: the page for a visitor that is not permitted.
    private func login(_ head: RequestHead, _ passwords: VisitorPasswords, _ address: IPAddress?) -> StatusPage? {
        let field = (try? head.fields.single("Authorization")) ?? nil
        let now = Duration.nanoseconds(Int64(clamping: Instant.now.nanoseconds))
        var decision = logins.withLock { $0.check(field, against: passwords, from: address, at: now) }
        if case .undecided(let attempt) = decision {
            let isRight = attempt.isRight()
            decision = logins.withLock { $0.finish(attempt, isRight: isRight, at: now) }
        }
        switch decision {
        case .permitted: return nil
        case .tooMany(let seconds): return .tooMany(retryAfter: seconds)
        case .unauthorized, .undecided: return .unauthorized
        }
    }

    // MARK: The log

    /// Counts a request, and writes its line to the log.
    func log(_ record: RequestRecord) {
        core.resources.metrics.requests.count(record)
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
