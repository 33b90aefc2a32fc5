import HTTP1
import TunnelCore

/// A role, as its operator deals with it.
package protocol AdminTarget: Sendable {
    /// Why the role does not do what it is there for; nil where it does.
    var notReadyReason: String? { get }
    /// Brings the gauges up to date, and counts the bytes of streams that live.
    func measure() async
    /// The status as JSON.
    func status() async throws -> [UInt8]
    /// Ends the sessions of a client; nil where the role has no clients.
    func kick(_ name: String) async -> Int?
    /// Changes carriers while the present ones live: a server asks a client for it, or all; a client does it.
    ///
    /// - Returns: what was done; nil if the role has no clients to ask.
    func renew(_ name: String?) async -> RenewResult?
}

/// Answers what the router has let through.
package struct AdminResponder: Sendable {
    package let role: any AdminTarget
    package let loops: EventLoopMonitor
    /// The exposition of the metrics; nil where the program has no backend of which it could be had.
    package let metrics: (@Sendable () -> String)?

    private func json(_ result: some Encodable) -> AdminResponse {
        do {
            return .json(try StatusJSON.encode(result))
        } catch {
            return .text(.serverError, "the answer cannot be written as JSON")
        }
    }

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
        case .status:
            do {
                return .json(try await role.status())
            } catch {
                return .text(.serverError, "the status cannot be written as JSON")
            }
        case .kick(let name):
            guard let count = await role.kick(name) else { return .text(.notFound, "a client has nobody to kick") }
            return json(KickResult(kicked: count))
        case .renew(let name):
            guard let result = await role.renew(name) else { return .text(.notFound, "a client renews itself alone") }
            return json(result)
        }
    }
}
