import Crypto
import Foundation
import HTTP1
import SwiftASN1
import Synchronization
import X509

@testable import ACME

/// A CA in memory that checks what a client sends: signatures, nonces, URLs, requests for certificates. It has renewal
/// information, and can be told to fail.
final class FakeAuthority: Sendable {
    /// An answer in place of the usual one.
    struct Fault: Sendable {
        let status: Int
        var type: String?
        var detail: String?
        var fields: [(String, String)] = []
        var body: String?
    }

    struct Settings: Sendable {
        var hasRenewalInfo = true
        var window: (start: String, end: String)?
        var retryAfter: String?
        var needsExternalAccount = false
        var challenges = ["http-01", "dns-01", "tls-alpn-01"]
        /// Questions that find an authorization or an order unfinished.
        var slowness = 0
        var lifetime = 90 * 86_400 + 43_200
        /// The lifetime before now, for certificates that are due.
        var age = 0
        /// Bytes of a chain's answer, with blank lines behind the certificates; nil for no more than those.
        var chainLength: Int?
        /// Answers in place of the usual ones: for each path's first part, in order.
        var faults: [String: [Fault]] = [:]
    }

    struct Seen: Sendable, Hashable {
        let method: String
        let path: String
        let payload: String
    }

    private struct Order {
        let name: String
        let account: String
        let replaces: String?
        var status = "pending"
        var authorization = "pending"
        var problem: String?
        var unfinished: Int
        var certificate: String?
        let token: String
    }

    private struct State {
        var base: String
        var settings = Settings()
        var nonces: Set<String> = []
        var accounts: [String: P256.Signing.PublicKey] = [:]
        var orders: [Order] = []
        var seen: [Seen] = []
    }

    private let state: Mutex<State>
    private let key = P256.Signing.PrivateKey()
    private let issuer: Certificate
    /// Whether the CA sees what it asks for; the thumbprint is the account's.
    private let validate: @Sendable (_ kind: String, _ name: String, _ token: String, _ thumbprint: String) -> Bool

    init(
        at base: String = "http://127.0.0.1:14000",
        validate: @escaping @Sendable (String, String, String, String) -> Bool = { _, _, _, _ in true }
    ) throws {
        state = Mutex(State(base: base))
        self.validate = validate
        let name = try DistinguishedName { CommonName("Fake CA") }
        let own = Certificate.PrivateKey(key)
        issuer = try Certificate(
            version: .v3,
            serialNumber: .init(),
            publicKey: own.publicKey,
            notValidBefore: Date().addingTimeInterval(-86_400),
            notValidAfter: Date().addingTimeInterval(864_000),
            issuer: name,
            subject: name,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true))
            },
            issuerPrivateKey: own
        )
    }

    func change(_ body: (inout Settings) -> Void) { state.withLock { body(&$0.settings) } }

    func move(to base: String) { state.withLock { $0.base = base } }

    func forgetAccounts() { state.withLock { $0.accounts = [:] } }

    var seen: [Seen] { state.withLock { $0.seen } }

    func count(_ path: String) -> Int { seen.count { $0.path.hasPrefix(path) } }

    var directory: String { state.withLock { $0.base } + "/dir" }

    // MARK: Requests

    /// The answer to one request.
    func answer(_ method: String, _ target: String, _ body: [UInt8]) -> ACMEResponse {
        let (answer, job) = state.withLock { state in respond(method, target, body, &state) }
        if let job {
            let isValid = validate(job.kind, job.name, job.token, job.thumbprint)
            state.withLock { state in
                state.orders[job.order].authorization = isValid ? "valid" : "invalid"
                state.orders[job.order].problem = isValid ? nil : job.kind
                state.orders[job.order].status = isValid ? "ready" : "invalid"
            }
        }
        return answer
    }

    private struct Job {
        let kind: String
        let name: String
        let token: String
        let thumbprint: String
        let order: Int
    }

    private func respond(
        _ method: String,
        _ target: String,
        _ body: [UInt8],
        _ state: inout State
    ) -> (ACMEResponse, Job?) {
        let parts = target.split(separator: "/").map(String.init)
        let first = parts.first ?? ""
        var fields = HeaderFields()
        let nonce = "nonce-\(state.nonces.count)-\(UInt64.random(in: 0...(.max)))"
        state.nonces.insert(nonce)
        if first != "dir" { try? fields.append("Replay-Nonce", nonce) }
        func json(_ status: Int, _ text: String, _ more: [(String, String)] = []) -> (ACMEResponse, Job?) {
            for (name, value) in more { try? fields.append(name, value) }
            return (ACMEResponse(status: status, fields: fields, body: Array(text.utf8)), nil)
        }
        func problem(_ status: Int, _ type: String, _ detail: String, _ more: [(String, String)] = []) -> (
            ACMEResponse, Job?
        ) {
            let kind = "urn:ietf:params:acme:error:\(type)"
            return json(status, "{\"type\":\"\(kind)\",\"detail\":\"\(detail)\",\"status\":\(status)}", more)
        }
        guard method != "POST" else {
            return post(target, parts, body, &state, json, problem)
        }
        state.seen.append(Seen(method: method, path: target, payload: ""))
        if let fault = Self.next(first, &state) { return Self.apply(fault, json, problem) }
        let base = state.base
        switch first {
        case "nonce": return json(200, "")
        case "dir":
            let renewal = state.settings.hasRenewalInfo ? ",\"renewalInfo\":\"\(base)/ari\"" : ""
            let external = state.settings.needsExternalAccount
            return json(
                200,
                "{\"newNonce\":\"\(base)/nonce\",\"newAccount\":\"\(base)/account\",\"newOrder\":\"\(base)/order\""
                    + "\(renewal),\"meta\":{\"externalAccountRequired\":\(external)},\"keyChange\":\"x\"}"
            )
        case "ari":
            guard let window = state.settings.window else { return problem(404, "malformed", "no such certificate") }
            let more = state.settings.retryAfter.map { [("Retry-After", $0)] } ?? []
            return json(
                200,
                "{\"suggestedWindow\":{\"start\":\"\(window.start)\",\"end\":\"\(window.end)\"}}",
                more
            )
        default: return problem(404, "malformed", "no such resource")
        }
    }

    private typealias Make = (Int, String, [(String, String)]) -> (ACMEResponse, Job?)
    private typealias Refuse = (Int, String, String, [(String, String)]) -> (ACMEResponse, Job?)

    private static func next(_ path: String, _ state: inout State) -> Fault? {
        guard var faults = state.settings.faults[path], !faults.isEmpty else { return nil }
        let fault = faults.removeFirst()
        state.settings.faults[path] = faults
        return fault
    }

    private static func apply(_ fault: Fault, _ json: Make, _ problem: Refuse) -> (ACMEResponse, Job?) {
        guard let type = fault.type else { return json(fault.status, fault.body ?? "", fault.fields) }
        return problem(fault.status, type, fault.detail ?? "a detail", fault.fields)
    }

    private func post(
        _ target: String,
        _ parts: [String],
        _ body: [UInt8],
        _ state: inout State,
        _ json: Make,
        _ problem: Refuse
    ) -> (ACMEResponse, Job?) {
        let base = state.base
        let signed: Signed
        switch Signed.read(body, state.accounts) {
        case .success(let read): signed = read
        case .failure(let refusal): return problem(refusal.status, refusal.type, "the signature", [])
        }
        state.seen.append(Seen(method: "POST", path: target, payload: signed.payload))
        guard state.nonces.remove(signed.nonce) != nil else { return problem(400, "badNonce", "used or unknown", []) }
        guard signed.url == base + target else { return problem(403, "unauthorized", "the URL was another", []) }
        if let fault = Self.next(parts.first ?? "", &state) { return Self.apply(fault, json, problem) }
        let payload = (try? JSONSerialization.jsonObject(with: Data(signed.payload.utf8))) as? [String: Any] ?? [:]
        let index = parts.count > 1 ? Int(parts[1]) ?? -1 : -1
        let order = state.orders.indices.contains(index) ? state.orders[index] : nil
        switch (parts.first, order) {
        case ("account", _):
            guard payload["termsOfServiceAgreed"] as? Bool == true else {
                return problem(403, "userActionRequired", "agree to the terms", [])
            }
            let url = "\(base)/accounts/\(state.accounts.count)"
            state.accounts[url] = signed.key
            return json(201, "{\"status\":\"valid\"}", [("Location", url)])
        case ("order", _):
            guard let account = signed.account else { return problem(400, "malformed", "no kid", []) }
            let name = ((payload["identifiers"] as? [[String: String]])?.first?["value"]) ?? ""
            state.orders.append(
                Order(
                    name: name,
                    account: account,
                    replaces: payload["replaces"] as? String,
                    unfinished: state.settings.slowness,
                    token: "token-\(UInt64.random(in: 0...(.max)))"
                )
            )
            let number = state.orders.count - 1
            return json(
                201,
                shown(state.orders[number], number, base),
                [("Location", "\(base)/orders/\(number)")]
            )
        case ("orders", let order?):
            if order.status == "processing", order.unfinished > 0 {
                state.orders[index].unfinished -= 1
            } else if order.status == "processing" {
                state.orders[index].status = "valid"
            }
            return json(200, shown(state.orders[index], index, base), [("Retry-After", "1")])
        case ("authz", let order?):
            if order.authorization == "valid" || order.authorization == "invalid", order.unfinished > 0 {
                state.orders[index].unfinished -= 1
                return json(200, authorization(order, index, base, "pending", state.settings), [])
            }
            return json(200, authorization(order, index, base, order.authorization, state.settings), [])
        case ("challenge", let order?):
            guard let key = state.accounts[order.account], parts.count == 3 else {
                return problem(400, "malformed", "no such challenge", [])
            }
            let thumbprint = AccountKey.thumbprint(of: key)
            let (answer, _) = json(200, "{\"type\":\"\(parts[2])\",\"url\":\"x\",\"status\":\"processing\"}", [])
            let job = Job(
                kind: parts[2],
                name: order.name,
                token: order.token,
                thumbprint: thumbprint,
                order: index
            )
            return (answer, job)
        case ("finalize", let order?):
            guard order.status == "ready" else { return problem(403, "orderNotReady", "not yet", []) }
            guard let csr = payload["csr"] as? String, let bytes = Base64URL.decoded(csr),
                let certificate = try? issue(bytes, for: order.name, state.settings)
            else { return problem(400, "badCSR", "the request", []) }
            state.orders[index].certificate = certificate
            state.orders[index].status = state.settings.slowness > 0 ? "processing" : "valid"
            state.orders[index].unfinished = state.settings.slowness
            return json(200, shown(state.orders[index], index, base), [])
        case ("cert", let order?):
            let chain = order.certificate ?? ""
            let padding = max(0, (state.settings.chainLength ?? 0) - chain.utf8.count)
            return json(200, chain + String(repeating: "\n", count: padding), [])
        default:
            return problem(404, "malformed", "no such resource", [])
        }
    }

    private func shown(_ order: Order, _ number: Int, _ base: String) -> String {
        let certificate = order.status == "valid" ? ",\"certificate\":\"\(base)/cert/\(number)\"" : ""
        return "{\"status\":\"\(order.status)\",\"authorizations\":[\"\(base)/authz/\(number)\"],"
            + "\"finalize\":\"\(base)/finalize/\(number)\"\(certificate)}"
    }

    private func authorization(
        _ order: Order,
        _ number: Int,
        _ base: String,
        _ status: String,
        _ settings: Settings
    ) -> String {
        let challenges = settings.challenges.map { kind in
            let error =
                order.problem == kind
                ? ",\"error\":{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"not seen\"}" : ""
            return "{\"type\":\"\(kind)\",\"url\":\"\(base)/challenge/\(number)/\(kind)\",\"status\":\"pending\","
                + "\"token\":\"\(order.token)\"\(error)}"
        }
        return "{\"status\":\"\(status)\",\"identifier\":{\"type\":\"dns\",\"value\":\"\(order.name)\"},"
            + "\"challenges\":[\(challenges.joined(separator: ","))]}"
    }

    private func issue(_ csr: [UInt8], for name: String, _ settings: Settings) throws -> String {
        let request = try CertificateSigningRequest(derEncoded: csr)
        guard request.publicKey.isValidSignature(request.signature, for: request) else { throw CancellationError() }
        let names = try request.attributes.extensionRequest?.extensions.subjectAlternativeNames
        guard names.map(Array.init) == [.dnsName(name)] else { throw CancellationError() }
        let leaf = try Certificate(
            version: .v3,
            serialNumber: .init(),
            publicKey: request.publicKey,
            notValidBefore: Date().addingTimeInterval(Double(-3_600 - settings.age)),
            notValidAfter: Date().addingTimeInterval(Double(settings.lifetime - settings.age)),
            issuer: issuer.subject,
            subject: DistinguishedName(),
            extensions: Certificate.Extensions {
                Critical(SubjectAlternativeNames([.dnsName(name)]))
                AuthorityKeyIdentifier(keyIdentifier: [1, 2, 3, 4])
            },
            issuerPrivateKey: Certificate.PrivateKey(key)
        )
        return try [leaf, issuer].map { try $0.serializeAsPEM().pemString + "\n" }.joined()
    }
}
