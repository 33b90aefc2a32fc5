import HTTP1
import HTTPRelay
import NIOCore
import TunnelCore

/// Visitors' connections that belong to the endpoint or to the backend. Both take a whole connection with its first
/// request.
extension HTTPVisitor {
    /// Gives the connection to the endpoint.
    func becomeEndpoint(_ head: RequestHead) {
        // Clients are no visitors, and have slots of their own.
        origin.slot?.leave()
        handOver { [router, origin] channel, rest in try router.core.adopt(channel, origin, head, rest) }
    }

    /// Gives the connection to the backend.
    func relay(_ head: RequestHead, to backend: Backend, _ request: RequestOrigin) {
        let limits = router.limits
        let forwarded: RequestHead
        let body: RequestBody
        do throws(Backend.Refusal) {
            forwarded = try backend.forwarded(head, origin: request.address, isSecure: request.isSecure)
        } catch {
            return refuse(error.status, error.reason)
        }
        do throws(HTTP1Error) {
            body = try RequestBody(of: head)
        } catch {
            return refuse(error.status, error.description)
        }
        let (slots, address) = (router.core.backendSlots, origin.address.map(Admission.key))
        guard slots.enter(address, limit: limits.backendConnections) else {
            return answer(.unavailable(retryAfter: 2), reason: "as many connections to the backend as there may be")
        }
        channel.closeFuture.whenComplete { _ in slots.leave(address) }
        handOver { channel, rest in backend.take(channel, forwarded, body, rest: rest, limits: limits) }
    }

    private func refuse(_ status: Int, _ reason: String) {
        isPersistent = false
        answer(.refusal(status: status), reason: reason)
    }
}
