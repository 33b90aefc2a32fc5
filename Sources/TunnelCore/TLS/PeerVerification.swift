import NIOCore
import NIOSSL
import Synchronization

/// The verifier for one kind of peer. The CAs are read at the first handshake or before, and again after a certificate
/// was refused over its CA: the system's may have been updated meanwhile.
package final class PeerVerifier: Sendable {
    private enum Anchors {
        case unread
        case read(Result<TrustAnchors, CertificateProblem>)
    }

    private let trust: TLSTrust
    private let purpose: CertificateVerifier.Purpose
    private let anchors = Mutex(Anchors.unread)

    package init(_ trust: TLSTrust, _ purpose: CertificateVerifier.Purpose) {
        self.trust = trust
        self.purpose = purpose
    }

    /// Reads the CAs now rather than at the first handshake. Reads files: not for an event loop.
    ///
    /// - Throws: if there is no CA to trust.
    package func prepare() throws(CertificateProblem) { _ = try known().get() }

    private func known() -> Result<TrustAnchors, CertificateProblem> {
        anchors.withLock { anchors in
            if case .read(let result) = anchors { return result }
            let result: Result<TrustAnchors, CertificateProblem>
            do throws(CertificateProblem) {
                result = .success(try trust.anchors())
            } catch {
                result = .failure(error)
            }
            // A store that is installed later is found at the next handshake.
            if case .success = result { anchors = .read(result) }
            return result
        }
    }

    /// What is wrong with the certificates that a peer has sent; nil for good ones.
    package func problem(with sent: [NIOSSLCertificate], for name: PeerName?) async -> CertificateProblem? {
        // Ours are counted before they are copied.
        let most = CertificateVerifier.maximumCertificates
        guard sent.count <= most else { return .tooMany(most) }
        switch known() {
        case .failure(let problem): return problem
        case .success(let anchors):
            let encoded = sent.map { (try? $0.toDERBytes()) ?? [] }
            let problem = await CertificateVerifier(anchors, purpose).problem(with: encoded, for: name)
            if let problem, problem.isAboutAuthorities, trust.includesSystem { self.anchors.withLock { $0 = .unread } }
            return problem
        }
    }
}

/// One handshake's verification, and what came of it.
package final class PeerVerification: Sendable {
    private let verifier: PeerVerifier
    private let name: PeerName?
    private let state = Mutex<(sent: [NIOSSLCertificate]?, problem: CertificateProblem?)>((nil, nil))

    /// - Parameter name: the name that the certificate must have; nil if no name is compared.
    package init(_ verifier: PeerVerifier, name: PeerName?) {
        self.verifier = verifier
        self.name = name
    }

    /// Why the peer's certificate was refused; nil if it was not, or not yet.
    package var problem: CertificateProblem? { state.withLock { $0.problem } }

    /// Whether the peer has sent certificates.
    package var hasCertificates: Bool { state.withLock { $0.sent != nil } }

    /// The certificates that the peer has sent, its own first, as DER; at most as many as the verifier looks at.
    package var certificates: [[UInt8]] {
        let sent = state.withLock { $0.sent } ?? []
        return sent.prefix(CertificateVerifier.maximumCertificates).compactMap { try? $0.toDERBytes() }
    }

    /// What NIOSSL asks once the peer has sent its certificates. The answer is found apart from the event loop.
    package var callback: NIOSSLCustomVerificationCallback {
        { [self] certificates, promise in
            state.withLock { $0.sent = certificates }
            Task {
                let problem = await verifier.problem(with: certificates, for: name)
                state.withLock { $0.problem = problem }
                promise.succeed(problem == nil ? .certificateVerified : .failed)
            }
        }
    }
}
