import Metrics
import NIOSSL

/// The ends of a role's own certificates. A certificate that is not there has no metric.
package struct CertificateMetrics: Sendable {
    private let factory: any MetricsFactory

    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
    }

    /// Sets the end of a configuration's own certificate.
    ///
    /// - Parameter use: what it is for: `server`, `client` or `proxy`.
    package func publish(_ configuration: TLSConfiguration?, use: String) {
        guard case .certificate(let own)? = configuration?.certificateChain.first else { return }
        // The backend returns the same series each time.
        Meter(label: "culvert_certificate_end_timestamp_seconds", dimensions: [("use", use)], factory: factory)
            .set(Int64(own.notValidAfter))
    }
}
