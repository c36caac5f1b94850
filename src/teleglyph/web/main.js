const status = document.getElementById("status");
if (status) status.textContent = "Join with a client: teleglyph client HOST";
