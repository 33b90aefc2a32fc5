import HTTP1
import TunnelCore

/// A server or a client that the admin server reports on and controls.
package protocol AdminTarget: Sendable {
    /// The reason why the role is not ready; nil if it is.
    var notReadyReason: String? { get }
    /// Updates the gauges, and counts the bytes of streams that live.
    func measure() async
    /// The status as JSON.
    ///
    /// - Parameter session: a server's session whose visitors and endings are wanted; nil for those of all.
    func status(session: Int?) async throws -> [UInt8]
    /// The clients of all servers of the cluster as JSON.
    ///
    /// - Returns: nil if the role belongs to no cluster.
    func clients() async throws -> [UInt8]?
    /// Ends the sessions of a client.
    ///
    /// - Returns: the number of these sessions; nil if the role has no clients.
    func kick(_ name: String) async -> Int?
    /// Replaces carriers while the present ones live. A server asks one client or all clients; a client dials.
    ///
    /// - Returns: the outcome; nil if a name was given and the role has no clients.
    func renew(_ name: String?) async -> RenewResult?
    /// Reads the configuration again.
    ///
    /// - Returns: the outcome; nil if the program has no configuration to read.
    func reload() async -> ReloadResult?
}

extension AdminTarget {
    package func clients() async throws -> [UInt8]? { nil }
    package func reload() async -> ReloadResult? { nil }
}

/// Answers the requests that the router accepts.
package struct AdminResponder: Sendable {
    package let role: any AdminTarget
    package let loops: EventLoopMonitor
    /// Returns the metrics in Prometheus' text format; nil if the program collects none.
    package let metrics: (@Sendable () -> String)?

    private func json(_ result: some Encodable) -> AdminResponse {
        do {
            return .json(try StatusJSON.encode(result))
        } catch {
            return .text(.serverError, "the answer cannot be written as JSON")
        }
    }

    /// Decides how a request at an address is answered.
    package func answers(at address: ListenAddress) -> @Sendable (RequestHead) -> AdminAnswer {
        answers(AdminRouter(isPrivate: address.isUnix, isLocal: address.isLocal))
    }

    /// Decides how a request is answered that a router has accepted.
    func answers(_ router: AdminRouter) -> @Sendable (RequestHead) -> AdminAnswer {
        { head in
            switch router.route(head) {
            case .ask(let request): .later { await answer(request) }
            case .refuse(let response): .now(response)
            }
        }
    }

    /// Answers a request.
    package func answer(_ request: AdminRequest) async -> AdminResponse {
        switch request {
        case .metrics:
            guard let metrics else { return .text(.notFound, "there are no metrics here") }
            await role.measure()
            ProcessUsage.measure()
            return .exposition(metrics())
        case .health:
            if let problem = loops.problem(now: .now) { return .text(.unavailable, problem) }
            return .text(.ok, "ok")
        case .readiness:
            if let notReadyReason = role.notReadyReason { return .text(.unavailable, notReadyReason) }
            return .text(.ok, "ready")
        case .status(let session):
            do {
                return .json(try await role.status(session: session))
            } catch {
                return .text(.serverError, "the status cannot be written as JSON")
            }
        case .clients:
            do {
                guard let clients = try await role.clients() else {
                    return .text(.notFound, "this is not a server of a cluster")
                }
                return .json(clients)
            } catch {
                return .text(.serverError, "the clients cannot be written as JSON")
            }
        case .kick(let name):
            guard let count = await role.kick(name) else { return .text(.notFound, "a client has no sessions to kick") }
            return json(KickResult(kicked: count))
        case .reload:
            guard let result = await role.reload() else { return .text(.notFound, "there is no configuration to read") }
            return json(result)
        case .renew(let name):
            guard let result = await role.renew(name) else {
                return .text(.notFound, "a client renews only its own session; leave out the name")
            }
            return json(result)
        }
    }
}
