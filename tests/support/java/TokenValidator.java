import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerExtensionsValidatorCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * The broker's side of OAUTHBEARER in the tests. A token that is a signed URL is checked as
 * MSK's IAM listener would: its shape, scope, region, date, lifetime, and the signature, which
 * is computed again from the key of the access key id. Any other token is a JWT whose subject
 * and expiry count (its signature does not: that part is not ours).
 *
 * Options of the JAAS entry: region, session (the session token), key_ID=SECRET.
 */
public class TokenValidator implements AuthenticateCallbackHandler {
    private final Map<String, String> options = new HashMap<>();

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        entries.forEach(entry -> entry.getOptions().forEach((key, value) -> options.put(key, value.toString())));
    }

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback) {
                OAuthBearerValidatorCallback validation = (OAuthBearerValidatorCallback) callback;
                try {
                    validation.token(check(validation.tokenValue()));
                } catch (Exception refused) {
                    validation.error(refused.getMessage(), null, null);
                }
            } else if (callback instanceof OAuthBearerExtensionsValidatorCallback) {
                OAuthBearerExtensionsValidatorCallback extensions = (OAuthBearerExtensionsValidatorCallback) callback;
                extensions.inputExtensions().map().keySet().forEach(extensions::valid);
            } else {
                throw new UnsupportedCallbackException(callback);
            }
        }
    }

    private OAuthBearerToken check(String token) throws Exception {
        if (token.contains(".")) {
            String claims = new String(Base64.getUrlDecoder().decode(token.split("\\.")[1]), StandardCharsets.UTF_8);
            long expiry = Long.parseLong(claims.replaceAll(".*\"exp\":(\\d+).*", "$1")) * 1000;
            require(claims.contains("\"sub\":\"tidegate-test\""), "wrong subject");
            require(expiry > System.currentTimeMillis(), "token has expired");
            return accepted(token, "tidegate-test", expiry);
        }
        return iam(token);
    }

    private OAuthBearerToken iam(String token) throws Exception {
        require(!token.contains("="), "padded base64");
        URI url = new URI(new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8));
        String region = options.get("region");
        require("https".equals(url.getScheme()) && "/".equals(url.getPath()), "wrong URL");
        require(("kafka." + region + ".amazonaws.com").equals(url.getHost()), "wrong region");
        Map<String, String> raw = new TreeMap<>();
        for (String pair : url.getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            require(raw.put(parts[0], parts[1]) == null, "repeated " + parts[0]);
        }
        require(raw.remove("User-Agent") != null, "no User-Agent");
        String signature = raw.remove("X-Amz-Signature");
        require(signature != null, "no signature");
        Map<String, String> query = new HashMap<>();
        raw.forEach((key, value) -> query.put(key, URLDecoder.decode(value, StandardCharsets.UTF_8)));
        require("kafka-cluster:Connect".equals(query.get("Action")), "wrong action");
        require("AWS4-HMAC-SHA256".equals(query.get("X-Amz-Algorithm")), "wrong algorithm");
        require("host".equals(query.get("X-Amz-SignedHeaders")), "wrong signed headers");
        String session = options.get("session");
        require(session == null || !query.containsKey("X-Amz-Security-Token")
            || session.equals(query.get("X-Amz-Security-Token")), "wrong session token");
        String date = query.get("X-Amz-Date");
        long signedAt = LocalDateTime.parse(date, DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'"))
            .toInstant(ZoneOffset.UTC).toEpochMilli();
        long lifetime = Long.parseLong(query.get("X-Amz-Expires"));
        require(lifetime > 0 && lifetime <= 900, "wrong lifetime");
        long expiry = signedAt + lifetime * 1000;
        require(expiry > System.currentTimeMillis(), "token has expired");
        require(signedAt < System.currentTimeMillis() + 300_000, "signed in the future");
        String scope = date.substring(0, 8) + "/" + region + "/kafka-cluster/aws4_request";
        String[] credential = query.get("X-Amz-Credential").split("/", 2);
        require(scope.equals(credential[1]), "wrong scope");
        String secret = options.get("key_" + credential[0]);
        require(secret != null, "unknown access key");
        StringBuilder canonicalQuery = new StringBuilder();
        raw.forEach((key, value) -> canonicalQuery.append(canonicalQuery.length() == 0 ? "" : "&").append(key).append("=").append(value));
        String canonical = "GET\n/\n" + canonicalQuery + "\nhost:" + url.getHost() + "\n\nhost\n" + sha256("");
        byte[] key = hmac(("AWS4" + secret).getBytes(StandardCharsets.UTF_8), date.substring(0, 8));
        for (String part : List.of(region, "kafka-cluster", "aws4_request")) {
            key = hmac(key, part);
        }
        String expected = HexFormat.of().formatHex(
            hmac(key, "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + sha256(canonical)));
        require(expected.equals(signature), "wrong signature");
        return accepted(token, "arn:aws:sts::1:assumed-role/" + credential[0], expiry);
    }

    private static void require(boolean condition, String why) {
        if (!condition) {
            throw new IllegalArgumentException(why);
        }
    }

    private static String sha256(String text) throws Exception {
        return HexFormat.of().formatHex(
            MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static byte[] hmac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private static OAuthBearerToken accepted(String value, String principal, long expiry) {
        return new OAuthBearerToken() {
            public String value() { return value; }
            public Set<String> scope() { return Set.of(); }
            public long lifetimeMs() { return expiry; }
            public String principalName() { return principal; }
            public Long startTimeMs() { return null; }
        };
    }
}
